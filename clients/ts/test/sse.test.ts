// What server-sent events do that vectors cannot say: requests and their answers (rules P20 and P21).
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connect } from '../src/connection.js';
import { FakeHTTP } from './fakehttp.js';
import { Harness } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = new Harness();
  vi.spyOn(Math, 'random').mockReturnValue(0);
});
afterEach(async () => {
  h.chat?.close();
  await h.clock.pass(0);
  expect(h.left).toEqual({ timers: 0, sockets: 0, listeners: 0 });
  expect(FakeHTTP.held.filter(({ init }) => !init.signal.aborted)).toEqual([]);
  h.end();
});

const start = async (open: object = {}, options: object = {}) => {
  await h.connect({ transport: 'sse', ...options });
  await h.greetStream(open);
};
const call = (name: string, input?: unknown, options?: object) => h.chat.call({ do: name, in: input }, options).catch((error) => error);
const answer = (status: number, headers: Record<string, string> = {}) => FakeHTTP.held.shift()!.answer(new Response(null, { status, headers }));

test('P20 the request: where, what, and with which headers', async () => {
  h.chat = connect({ path: '/c', query: ['room'], contract: '1.ab' }, 'https://a.test/api', { room: 'r' }, { transport: 'sse', token: 't', headers: { 'X-Tenant': 'x' } });
  await h.clock.pass(0);
  const { url, init } = FakeHTTP.made[0]!;
  expect(url).toBe('https://a.test/api/c?room=r');
  expect(init.headers).toEqual({ 'X-Tenant': 'x', Accept: 'text/event-stream', 'Content-Type': 'application/json', 'Kanava-Protocol': 'kanava.v1' });
  expect(init.body).toBe('{"hello":{"contract":"1.ab","token":"t"}}');
  expect(h.chat.state).toEqual({ name: 'connecting' });
  FakeHTTP.made[0]!.accept();
  await h.clock.pass(0);
  expect(h.chat.state).toEqual({ name: 'greeting' });
  FakeHTTP.made[0]!.frame({ open: { id: 'c' } });
  await h.clock.pass(0);
  expect(h.chat.state).toMatchObject({ name: 'open', transport: 'sse' });
});

test('P21 what is said at once goes together, one POST at a time, and counts from 1 on each connection', async () => {
  await start();
  FakeHTTP.holds = true;
  const calls = [call('a'), call('b')];
  await h.clock.pass(0);
  call('c');
  call('d');
  await h.clock.pass(0);
  expect(FakeHTTP.held.map(({ lines, init }) => [lines.map((line) => JSON.parse(line).do), init.headers['Kanava-Seq'], init.headers['Kanava-Up']]))
    .toEqual([[['a', 'b'], '1', 'node.secretc1']]);
  answer(204);
  await h.clock.pass(0);
  expect(FakeHTTP.held.map(({ lines, init }) => [lines.length, init.headers['Kanava-Seq']])).toEqual([[2, '2']]);
  h.stream.frame({ re: 1, out: 1 });
  h.stream.frame({ re: 2, out: 2 });
  expect(await Promise.all(calls)).toEqual([1, 2]);
  h.stream.end(1006);
  await h.clock.pass(0);
  expect(FakeHTTP.held.splice(0)[0]!.init.signal.aborted).toBe(true);
  await h.clock.pass(0);
  await h.greetStream({ id: 'c2' });
  call('e');
  await h.clock.pass(0);
  expect(FakeHTTP.held.map(({ init }) => [init.headers['Kanava-Seq'], init.headers['Kanava-Up']])).toEqual([['1', 'node.secretc2']]);
});

test('P21 a batch has at most 128 messages', async () => {
  await start({ calls: 1000 });
  FakeHTTP.holds = true;
  for (let i = 0; i < 300; i++) call('x');
  for (const n of [128, 128, 44]) {
    await h.clock.pass(0);
    expect(FakeHTTP.held[0]!.lines.length).toBe(n);
    answer(204);
  }
});

test('P21 a batch has at most 64 KiB, or one message of open.max bytes', async () => {
  await start({ calls: 1000, max: 100_000 });
  FakeHTTP.holds = true;
  for (const n of [1, 99_950, 30_000, 30_000, 30_000, 30_000, 1]) call('x', '€'.repeat(n / 3));
  const sizes: number[] = [];
  for (await h.clock.pass(0); FakeHTTP.held.length; await h.clock.pass(0)) {
    sizes.push(Buffer.byteLength(FakeHTTP.held[0]!.init.body));
    answer(204);
  }
  expect(Math.max(...sizes)).toBeLessThanOrEqual(100_000);
  expect(sizes.reduce((a, b) => a + b)).toBeGreaterThan(219_950);
});

describe('P21 the same n again', () => {
  const tried = () => FakeHTTP.held.map(({ init }) => init.headers['Kanava-Seq']);

  test.each([429, 502, 503, 504])('after %i, when Retry-After says so', async (status) => {
    await start();
    FakeHTTP.holds = true;
    call('a', 1);
    await h.clock.pass(0);
    answer(status, { 'Retry-After': '3' });
    await h.clock.pass(2999);
    expect(tried()).toEqual([]);
    await h.clock.pass(1);
    expect(FakeHTTP.held[0]!.lines).toEqual(['{"id":1,"do":"a","in":1}']);
    expect(tried()).toEqual(['1']);
    answer(204);
    await h.clock.pass(60);
    call('b');
    await h.clock.pass(0);
    expect(tried()).toEqual(['2']);
  });

  test('without it after 1 s, then a little later each time; what comes meanwhile waits', async () => {
    await start({ ping: 0 });
    FakeHTTP.holds = true;
    call('a', 1, { timeout: Infinity });
    for (const pause of [1000, 1500, 2250, 3375, 5000, 5000]) {
      await h.clock.pass(0);
      answer(502);
      call('b', 1, { timeout: Infinity });
      await h.clock.pass(pause - 1);
      expect(tried()).toEqual([]);
      await h.clock.pass(1);
      expect(tried()).toEqual(['1']);
      expect(FakeHTTP.held[0]!.lines.length).toBe(1);
    }
  });

  test('where there was no answer, also for 20 s', async () => {
    await start({ ping: 0 });
    FakeHTTP.holds = true;
    call('a', 1, { timeout: Infinity });
    await h.clock.pass(19_999);
    const [first] = FakeHTTP.held.splice(0);
    expect(first!.init.signal.aborted).toBe(false);
    await h.clock.pass(1);
    expect(first!.init.signal.aborted).toBe(true);
    await h.clock.pass(1000);
    expect(tried()).toEqual(['1']);
  });

  test('until the silence of the server is the end', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    await start();
    FakeHTTP.holds = true;
    const lost = call('a');
    await h.clock.pass(35_000);
    expect(await lost).toMatchObject({ code: 'deadline_exceeded' });
    expect(h.chat.state).toMatchObject({ name: 'waiting', code: 4408 });
    FakeHTTP.held = [];
  });
});

test.each([400, 403, 404, 409, 413, 415, 200, 500])('P21 a POST that is answered %i is the end of the connection, with a reason', async (status) => {
  await start();
  FakeHTTP.holds = true;
  const lost = call('a');
  await h.clock.pass(0);
  answer(status);
  await h.clock.pass(0);
  expect(await lost).toMatchObject({ code: 'unavailable', unknownOutcome: true });
  expect(FakeHTTP.made.length).toBe(1); // after a wait of 0 ms
  expect(FakeHTTP.held).toEqual([]);
  expect(h.stream.closed).toBe(1005);
});

describe('bytes', () => {
  test('go as text, and come as such', async () => {
    await start();
    const told: unknown[] = [];
    h.chat.listen(':binary', undefined, (bytes) => told.push(bytes));
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    h.chat.sendBinary(bytes);
    h.stream.binary(bytes);
    await h.clock.pass(0);
    expect(h.stream.sent).toEqual([bytes]);
    expect(told).toEqual([bytes]);
  });

  test('are three quarters of what text may be', async () => {
    await start({ max: 1000 });
    expect(() => h.chat.sendBinary(new Uint8Array(750))).toThrow('larger');
    h.chat.sendBinary(new Uint8Array(720));
  });

  test('that nobody takes are refused, and what else waits is bounded', async () => {
    await start({ max: 2 ** 20, calls: 1e6 });
    FakeHTTP.holds = true;
    h.chat.sendBinary(new Uint8Array(10));
    const send = () => {
      for (let i = 0; i < 100; i++) h.chat.sendBinary(new Uint8Array(700_000));
    };
    expect(send).toThrow(expect.objectContaining({ code: 'resource_exhausted' }));
    expect(h.chat.state.name).toBe('open');
    const ends = Array.from({ length: 10 }, () => call('x', 'x'.repeat(900_000)));
    await h.clock.pass(0);
    expect((await ends[0]).code).toBe('unavailable');
    expect(h.stream.closed).toBe(1005);
    FakeHTTP.held = [];
  });
});

describe('P20 the stream', () => {
  test('a comment is a sign of life', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    await start();
    await h.clock.pass(34_000);
    h.stream.raw(':\n\n');
    await h.clock.pass(34_999);
    expect(h.chat.state.name).toBe('open');
    await h.clock.pass(1);
    expect(h.chat.state).toMatchObject({ code: 4408 });
  });

  test('the server is answered its {}', async () => {
    await start();
    h.stream.frame({});
    await h.clock.pass(0);
    expect(h.stream.sent).toEqual([{}]);
  });

  test('characters may be cut', async () => {
    await start();
    const told: unknown[] = [];
    h.chat.listen('p:notice', undefined, (v) => told.push(v));
    for (const byte of new TextEncoder().encode('data: {"push":"notice","v":"€😀"}\n\n')) h.stream.raw(Uint8Array.of(byte));
    await h.clock.pass(0);
    expect(told).toEqual(['€😀']);
  });

  test('nothing is told that comes behind the end', async () => {
    await start();
    const told: unknown[] = [];
    h.chat.listen('p:notice', undefined, (v) => told.push(v));
    h.stream.raw('data: {"push":"notice","v":1}\n\ndata: {"away":{"code":4403}}\n\ndata: {"push":"notice","v":2}\n\n');
    await h.clock.pass(0);
    expect(told).toEqual([1]);
    expect(h.chat.state).toMatchObject({ name: 'closed', code: 4403 });
  });

  test('its end without a word is 1006', async () => {
    await start();
    h.stream.end(1006);
    await h.clock.pass(0);
    expect(h.left.timers).toBe(1); // the next try has begun
    expect(FakeHTTP.made.length).toBe(1);
  });

  test('a line that does not end is the end', async () => {
    await start({}, { queue: 0 });
    h.stream.raw('data: ');
    for (let i = 0; i < 17; i++) h.stream.raw('x'.repeat(2 ** 20));
    await h.clock.pass(0);
    expect(h.stream.closed).toBe(1005);
  });
});

describe('P3 a refusal', () => {
  const refused = async (status: number, body?: unknown, headers?: Record<string, string>) => {
    const told: any[] = [];
    const connecting = h.connect({ transport: 'sse' });
    h.chat.listen(':error', undefined, (error) => told.push([error.code, error.retryAfter]));
    await connecting;
    FakeHTTP.take().refuse(status, body, headers);
    await h.clock.pass(0);
    return told;
  };
  const error = (code: string, retryAfter?: number) => ({ error: { code, message: 'because', retryAfter } });

  test.each([
    [429, 'resource_exhausted'], [503, 'unavailable'],
  ])('%i says when to come back', async (status, code) => {
    expect(await refused(status, error(code, 7000))).toEqual([[code, 7000]]);
    expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1006, reason: 'because', next: h.clock.now + 7000 });
    h.window.fire('online');
    expect(h.chat.state.name).toBe('waiting');
  });

  test.each([[403, 'permission_denied'], [404, 'not_found']])('%i is told, and tried again', async (status, code) => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    expect(await refused(status, error(code))).toEqual([[code, undefined]]);
    expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1006, reason: 'because', next: h.clock.now + 500 });
  });

  test.each([
    ['something on the way', 503, '<html>busy</html>'], ['nothing at all', 404, undefined], ['another object', 429, { error: 'x' }],
    ['no object', 403, 'null'], ['a text without an end', 503, 'x'.repeat(1e6)], ['a server without server-sent events', 426, error('failed_precondition')],
  ])('by %s is told nobody', async (_, status, body) => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    expect(await refused(status, body)).toEqual([]);
    expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1006, reason: 'the server answered with ' + status });
  });

  test('a page in place of a stream is no connection', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    await h.connect({ transport: 'sse' });
    FakeHTTP.take().accept('text/html');
    await h.clock.pass(0);
    expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1006, reason: 'the server answered with 200' });
  });
});

test('close() while it connects, greets, and says something, leaves nothing', async () => {
  await h.connect({ transport: 'sse' });
  h.chat.close();
  await h.clock.pass(0);
  expect(FakeHTTP.take().init.signal.aborted).toBe(true);

  await h.connect({ transport: 'sse' });
  FakeHTTP.made[0]!.accept();
  await h.clock.pass(0);
  h.chat.close();
  await h.clock.pass(0);
  expect(FakeHTTP.take().closed).toBe(1005);

  for (const status of [undefined, 429]) {
    await start();
    FakeHTTP.holds = true;
    call('x');
    await h.clock.pass(0);
    if (status) answer(status);
    await h.clock.pass(0);
    h.chat.close();
    await h.clock.pass(0);
    expect(h.left).toEqual({ timers: 0, sockets: 0, listeners: 0 });
    await h.clock.pass(60_000);
    expect(FakeHTTP.held.filter(({ init }) => !init.signal.aborted)).toEqual([]);
    FakeHTTP.held = [];
    FakeHTTP.holds = false;
  }
});
