import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { filled } from '../src/wildcards.js';
import { connect } from '../src/connection.js';
import { KanavaError } from '../src/error.js';
import { FakeSocket } from './fakesocket.js';
import { Harness } from './harness.js';

let h: Harness;
beforeEach(() => {
  h = new Harness();
});
afterEach(async () => {
  h.chat?.close();
  await h.clock.pass(0);
  expect(h.left).toEqual({ timers: 0, sockets: 0, listeners: 0 });
  h.end();
});

const open = async (greeting: object = {}, options: object = {}) => {
  await h.connect(options);
  await h.greet(greeting);
};

describe('address', () => {
  const address = (spec: { path: string; query?: string[] }, base: string | undefined, opening: object) => {
    const { path, query = [] } = spec;
    const chat = connect({ path: filled(path, opening), query }, base, opening, {});
    return new Promise<string>((resolve) => queueMicrotask(() => {
      resolve(FakeSocket.take().url);
      chat.close();
    }));
  };

  test.each([
    ['https becomes wss', { path: '/chat' }, 'https://a.test', {}, 'wss://a.test/chat'],
    ['a base may have a path', { path: '/chat' }, 'http://a.test:81/api/', {}, 'ws://a.test:81/api/chat'],
    ['wildcards are escaped', { path: '/{room}/x/{rest...}' }, 'ws://a.test', { room: 'a/b ?', rest: 'c/d e' }, 'ws://a.test/a%2Fb%20%3F/x/c/d%20e'],
    ['the query, with lists, and without what is not there', { path: '/', query: ['a', 'b', 'c', 'd'] }, 'ws://a.test', { a: 'x&y', b: [1, true], c: undefined, d: null }, 'ws://a.test/?a=x%26y&b=1&b=true'],
  ])('%s', async (_, spec, base, opening, want) => {
    expect(await address(spec, base, opening)).toBe(want);
  });

  test('without a base it is the page\'s origin', async () => {
    vi.stubGlobal('location', { origin: 'https://page.test' });
    expect(await address({ path: '/chat' }, undefined, {})).toBe('wss://page.test/chat');
  });

  test.each(['nonsense', '', '/api', 'localhost:3000', 'ftp://a.test', 'http://', 'http:///api', 'http://a.test?b=1', 'ws://a.test#b', undefined])(
    'a wrong one is an error at once: %s', (base) => {
      expect(() => connect({ path: '/' }, base, {}, {})).toThrow('the address of the server is http(s)://HOST, not ' + base);
    });

  test('so is a platform without WebSocket, where nothing else will do, unless one is passed in', () => {
    vi.stubGlobal('WebSocket', undefined);
    expect(() => connect({ path: '/' }, 'ws://a.test', {}, { transport: 'websocket' })).toThrow('pass one in the options');
    connect({ path: '/' }, 'ws://a.test', {}, { transport: 'websocket', WebSocket: FakeSocket }).close();
    connect({ path: '/' }, 'ws://a.test', {}, {}).close();
    vi.stubGlobal('Response', class {}); // as in React Native: no streams
    expect(() => connect({ path: '/' }, 'ws://a.test', {}, {})).toThrow('pass one in the options');
    expect(() => connect({ path: '/' }, 'ws://a.test', {}, { transport: 'sse' })).toThrow();
    connect({ path: '/' }, 'ws://a.test', {}, { WebSocket: FakeSocket }).close();
  });

  test('headers reach a WebSocket class that takes them', async () => {
    await h.connect({ headers: { 'X-Tenant': 'a' } });
    expect(FakeSocket.made[0]!.init).toEqual({ headers: { 'X-Tenant': 'a' } });
  });
});

describe('token', () => {
  test('is made for each connection', async () => {
    let n = 0;
    await h.connect({ token: async () => `t${++n}` });
    for (const token of ['t1', 't2']) {
      const socket = FakeSocket.take();
      socket.accept();
      expect(socket.sent[0].hello.token).toBe(token);
      socket.end(1006);
      await h.clock.pass(1000);
    }
  });

  test('that cannot be made is told, and tried again', async () => {
    const told: unknown[] = [];
    let fail = true;
    const connecting = h.connect({ token: () => (fail ? Promise.reject(new Error('no network')) : 't') });
    h.chat.listen(':error', undefined, (error) => told.push(error.message));
    await connecting;
    expect(told).toEqual(['no network']);
    expect(h.chat.state.name).toBe('waiting');
    fail = false;
    await h.clock.pass(500);
    expect(FakeSocket.made.length).toBe(1);
  });

  test('that comes too late is not used', async () => {
    let resolve!: (token: string) => void;
    await h.connect({ token: () => new Promise<string>((r) => (resolve = r)) });
    const first = resolve;
    await h.clock.pass(15_500);
    first('late');
    await h.clock.pass(0);
    expect(FakeSocket.made.length).toBe(0);
    resolve('in time');
    await h.clock.pass(0);
    expect(FakeSocket.made.length).toBe(1);
  });
});

describe('calls', () => {
  test('an error has all that the server said', async () => {
    await open();
    const call = h.chat.call({ do: 'x' });
    const details = [{ pointer: '/message', message: 'too long' }];
    h.socket.frame({ re: 1, err: { code: 'invalid_argument', message: 'invalid input', details, retryAfter: 5 } });
    const error = await call.catch((e) => e);
    expect(error).toBeInstanceOf(KanavaError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'KanavaError', code: 'invalid_argument', message: 'invalid input', details, retryAfter: 5, unknownOutcome: false });
  });

  test('a signal\'s reason is the cause, and its listener goes away', async () => {
    await open();
    const abort = new AbortController();
    const remove = vi.spyOn(abort.signal, 'removeEventListener');
    const call = h.chat.call({ do: 'x', in: {} }, { signal: abort.signal });
    const reason = new Error('left the page');
    abort.abort(reason);
    expect(await call.catch((e) => e)).toMatchObject({ code: 'canceled', unknownOutcome: true, cause: reason });
    expect(remove).toHaveBeenCalledTimes(1);
    const sent = h.socket.sent.length;
    expect(await h.chat.call({ do: 'x', in: {} }, { signal: abort.signal }).catch((e) => e)).toMatchObject({ code: 'canceled', unknownOutcome: false });
    expect(h.socket.sent.length).toBe(sent);
  });

  test('one that could not be sent says so, and why the client is closed', async () => {
    await h.connect({ timeout: 1000 });
    const unsent = h.chat.call({ do: 'a' });
    unsent.catch(() => {});
    await h.clock.pass(1000);
    await expect(unsent).rejects.toMatchObject({ code: 'deadline_exceeded', message: 'it could not be sent in time', unknownOutcome: false });
    await h.greet({});
    h.socket.frame({ away: { code: 4426 } });
    await h.clock.pass(0);
    await expect(h.chat.call({ do: 'a' })).rejects.toMatchObject({
      code: 'unavailable', message: 'the connection is closed: the server no longer takes clients as old as this one',
    });
  });

  test('an input that is no JSON fails the call', async () => {
    await open();
    await expect(h.chat.call({ do: 'x', in: { n: 1n } })).rejects.toThrow();
  });

  test('P10 half of a surrogate pair is not sent: the server would close for it', async () => {
    await open();
    for (const text of ['\ud83d', '\ude00', 'x\\\ud83dx']) await expect(h.chat.call({ do: 'x', in: { text } })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(h.socket.sent).toEqual([]);
    for (const text of ['\ud83d\ude00', '\\ud83d', '\\\\ud83d']) h.chat.call({ do: 'x', in: { text } }).catch(() => {});
    expect(h.socket.sent.map((f) => f.in.text)).toEqual(['😀', '\\ud83d', '\\\\ud83d']);
  });

  test('the input is taken when the call is made', async () => {
    await h.connect();
    const input = { n: 1 };
    h.chat.call({ do: 'x', in: input }).catch(() => {});
    input.n = 2;
    await h.greet();
    expect(h.socket.sent[0].in).toEqual({ n: 1 });
  });

  test('a time limit may be longer than timers can wait', async () => {
    await open({ ping: 0 });
    const timers = h.clock.count;
    h.chat.call({ do: 'x', in: {} }, { timeout: Infinity }).catch(() => {});
    expect(h.clock.count).toBe(timers);
    const call = h.chat.call({ do: 'x', in: {} }, { timeout: 2 ** 40 });
    await h.clock.pass(1_000_000_000);
    h.socket.frame({ re: 2, out: 1 });
    expect(await call).toBe(1);
  });

  test('a thousand at once are all sent, in order', async () => {
    await open();
    const all = Promise.all(Array.from({ length: 1000 }, (_, i) => h.chat.call({ do: 'x', in: i })));
    for (let id = 1; id <= 1000; id++) h.socket.frame({ re: id, out: id });
    expect((await all).length).toBe(1000);
    expect(h.socket.sent.map((f) => f.in)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  test('what a finished sign-in kept of its chat cannot call on another connection', async () => {
    let kept: any;
    await open({}, { authenticate: (chat: any) => void (kept = chat) });
    expect(kept.state.name).toBe('open');
    h.socket.end(1006);
    await expect(kept.call({ do: 'x' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a sign-in that ends too late does not count for the next connection', async () => {
    const ends: (() => void)[] = [];
    await open({}, { authenticate: () => new Promise<void>((resolve) => ends.push(resolve)) });
    h.chat.call({ do: 'x' }).catch(() => {});
    await h.reconnect();
    ends[0]!();
    await h.clock.pass(0);
    expect(h.socket.sent).toEqual([]);
    ends[1]!();
    await h.clock.pass(0);
    expect(h.socket.sent).toEqual([{ id: 1, do: 'x' }]);
  });

  test('what a sign-in calls while the server leaves fails with the connection', async () => {
    const ended: string[] = [];
    const authenticate = async (chat: any) => {
      await chat.call({ do: 'a' });
      await chat.call({ do: 'b' }).catch((e: KanavaError) => ended.push(e.code));
    };
    await open({}, { authenticate });
    h.socket.frame({ away: { code: 4503, in: [1000, 1000] } });
    h.socket.frame({ re: 1 });
    await h.clock.pass(0);
    expect(h.socket.sent).toEqual([{ id: 1, do: 'a' }]);
    await h.reconnect();
    expect(ended).toEqual(['unavailable']);
    expect(h.socket.sent).toEqual([{ id: 1, do: 'a' }]);
  });

  test('a sign-in that waits when its connection is lost fails, and the next one starts', async () => {
    const ended: string[] = [];
    await open({ calls: 1 }, {
      authenticate: (chat: any) => Promise.all([chat.call({ do: 'a' }), chat.call({ do: '', in: 1 })]).catch((e) => {
        ended.push(e.code);
        throw e;
      }),
    });
    expect(h.socket.sent).toEqual([{ id: 1, do: 'a' }, { id: 2, do: '', in: 1 }]);
    await h.reconnect();
    expect(ended).toEqual(['unavailable']);
    expect(h.socket.sent).toEqual([{ id: 1, do: 'a' }, { id: 2, do: '', in: 1 }]);
  });

  test('close() knows which of them may have run', async () => {
    await open({ calls: 1, keys: 60_000 });
    const ends = ['a', 'b'].map((key) => h.chat.call({ do: key, in: null }, { key }).catch((e) => e));
    h.chat.close();
    expect(await Promise.all(ends)).toMatchObject([{ code: 'unavailable', unknownOutcome: true }, { code: 'unavailable', unknownOutcome: false }]);
  });
});

describe('streams', () => {
  test('for await takes all items, then ends', async () => {
    await open();
    const items: number[] = [];
    const loop = (async () => {
      for await (const item of h.chat.stream({ do: 'count' })) items.push(item);
    })();
    for (const item of [1, 2, 3]) h.socket.frame({ re: 1, item });
    h.socket.frame({ re: 1 });
    await loop;
    expect(items).toEqual([1, 2, 3]);
  });

  test('break cancels', async () => {
    await open();
    const loop = (async () => {
      for await (const _ of h.chat.stream({ do: 'count' })) break;
    })();
    h.socket.frame({ re: 1, item: 1 });
    await loop;
    expect(h.socket.sent.at(-1)).toEqual({ cancel: 1 });
  });

  test('a loop that throws cancels', async () => {
    await open();
    const loop = (async () => {
      for await (const _ of h.chat.stream({ do: 'count' })) throw new Error('in the loop');
    })();
    h.socket.frame({ re: 1, item: 1 });
    await expect(loop).rejects.toThrow('in the loop');
    expect(h.socket.sent.at(-1)).toEqual({ cancel: 1 });
  });

  test('a reader that is too slow gets what was kept, then an error; the server is told', async () => {
    await open();
    const stream = h.chat.stream({ do: 'count' });
    for (let item = 0; item < 5000; item++) h.socket.frame({ re: 1, item });
    expect(h.socket.sent.at(-1)).toEqual({ cancel: 1 });
    expect(h.socket.sent.length).toBe(2);
    const items: number[] = [];
    const error = await (async () => {
      for await (const item of stream) items.push(item);
    })().catch((e) => e);
    expect(error).toMatchObject({ code: 'resource_exhausted' });
    expect(items).toEqual(Array.from({ length: items.length }, (_, i) => i));
    expect(items.length).toBeLessThan(1100);
    expect((await stream.next()).done).toBe(true);
  });

  test('two that wait for the next item both get one', async () => {
    await open();
    const stream = h.chat.stream({ do: 'count' });
    const both = Promise.all([stream.next(), stream.next()]);
    await h.clock.pass(0);
    h.socket.frame({ re: 1, item: 1 });
    h.socket.frame({ re: 1, item: 2 });
    expect((await both).map((r) => r.value)).toEqual([1, 2]);
  });

  test('one that nobody reads and that fails disturbs nobody', async () => {
    await open();
    h.chat.stream({ do: 'count' });
    h.socket.frame({ re: 1, err: { code: 'internal', message: 'x' } });
    await h.clock.pass(0);
  });

  test('a signal ends the loop', async () => {
    await open();
    const abort = new AbortController();
    const stream = h.chat.stream({ do: 'count', in: {} }, { signal: abort.signal });
    const next = stream.next();
    abort.abort();
    await expect(next).rejects.toMatchObject({ code: 'canceled' });
    expect(h.socket.sent.at(-1)).toEqual({ cancel: 1 });
  });
});

describe('listeners', () => {
  test('with a key hear that key, without one all, until they are taken away', async () => {
    await open();
    const heard: string[] = [];
    const off = h.chat.listen('t:room', 'a', (data) => heard.push('a:' + data));
    h.chat.listen('t:room', undefined, (data, meta) => heard.push(`${meta.topic}/${meta.key}:${data}`));
    for (const key of ['a', 'b']) h.socket.frame({ sub: 'room:' + key, class: 'volatile' });
    h.socket.frame({ on: 'room:a', data: 1 });
    h.socket.frame({ on: 'room:b', data: 2 });
    off();
    h.socket.frame({ on: 'room:a', data: 3 });
    expect(heard).toEqual(['a:1', 'room:a/a:1', 'room:b/b:2', 'room:a/a:3']);
  });

  test('one that is taken away while an event is told does not hear it', async () => {
    await open();
    const heard: string[] = [];
    h.chat.listen('p:news', undefined, () => {
      heard.push('first');
      off();
    });
    const off = h.chat.listen('p:news', undefined, () => heard.push('second'));
    h.socket.frame({ push: 'news', v: 1 });
    await h.clock.pass(0);
    expect(heard).toEqual(['first']);
  });

  test('one that throws is reported and keeps nothing from the others', async () => {
    await open();
    const thrown: unknown[] = [];
    vi.stubGlobal('queueMicrotask', (fn: () => void) => {
      try {
        fn();
      } catch (error) {
        thrown.push(error);
      }
    });
    const heard: unknown[] = [];
    h.chat.listen('p:notice', undefined, () => {
      throw new Error('in the listener');
    });
    h.chat.listen('p:notice', undefined, (v) => heard.push(v));
    h.socket.frame({ push: 'notice', v: 1 });
    expect(heard).toEqual([1]);
    expect(thrown).toEqual([new Error('in the listener')]);
  });

  test('names of the language are names like others', async () => {
    await open();
    const heard: unknown[] = [];
    h.chat.listen('p:constructor', undefined, (v) => heard.push(v));
    h.socket.frame({ push: 'constructor', v: 1 });
    h.socket.frame({ toString: 1, constructor: 2 });
    h.socket.frame({ call: '__proto__', id: 1, ms: 1000 });
    await h.clock.pass(0);
    expect(heard).toEqual([1]);
    expect(h.socket.sent.at(-1)).toMatchObject({ re: 1, err: { code: 'unimplemented' } });
  });
});

describe('opened', () => {
  test('is the result of the first connection; the event comes for each', async () => {
    await h.connect();
    const told: unknown[] = [];
    h.chat.listen(':opened', undefined, (v) => told.push(v));
    const socket = FakeSocket.take();
    socket.accept();
    socket.frame({ open: { id: 'c1', max: 1000, calls: 1, ping: 0, keep: 0, keys: 0 } });
    socket.frame({ push: '', v: 'first' });
    expect(await h.chat.opened).toBe('first');
    socket.end(1006);
    await h.clock.pass(500);
    await h.greet();
    expect(told).toEqual(['first', undefined]);
    expect(await h.chat.opened).toBe('first');
  });

  test('fails if there never is one, with the server\'s reason, and disturbs nobody who does not ask', async () => {
    await h.connect();
    const socket = FakeSocket.take();
    socket.accept();
    socket.frame({ re: 0, err: { code: 'permission_denied', message: 'no such room' } });
    socket.frame({ away: { code: 4403 } });
    const error = await h.chat.opened.catch((e) => e);
    expect(error).toMatchObject({ code: 'unavailable', message: 'the connection is closed: no such room', cause: { code: 'permission_denied' } });
    expect(h.chat.state).toEqual({ name: 'closed', code: 4403, reason: 'no such room' });
  });
});

describe('binary', () => {
  test('needs a connection, and room', async () => {
    await h.connect();
    expect(() => h.chat.sendBinary(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'unavailable' }));
    await h.greet({ max: 10 });
    expect(() => h.chat.sendBinary(new Uint8Array(11))).toThrow(expect.objectContaining({ code: 'too_large' }));
    h.chat.sendBinary(new Uint8Array(10));
    expect(h.socket.sent).toEqual([new Uint8Array(10)]);
  });
});

test('handlers: the last one answers, and one that is taken away does not', async () => {
  await open();
  const first = h.chat.handler('confirm', () => 'first');
  const off = h.chat.handler('confirm', () => 'second');
  first();
  h.socket.frame({ call: 'confirm', id: 1, ms: 1000 });
  await h.clock.pass(0);
  off();
  h.socket.frame({ call: 'confirm', id: 2, ms: 1000 });
  await h.clock.pass(0);
  expect(h.socket.sent).toMatchObject([{ re: 1, out: 'second' }, { re: 2, err: { code: 'unimplemented' } }]);
});

test('an error right before the end is its reason', async () => {
  await open();
  h.socket.frame({ re: 0, err: { code: 'invalid_frame', message: 'the third in a minute' } });
  h.socket.end(4400, 'protocol_error');
  expect(h.chat.state).toEqual({ name: 'closed', code: 4400, reason: 'the third in a minute' });
});

test('the reason of one connection is not that of the next', async () => {
  await open();
  h.socket.frame({ re: 0, err: { code: 'internal', message: 'of the first' } });
  h.socket.end(4500, 'internal');
  expect(h.chat.state.reason).toBe('of the first');
  await h.clock.pass(500);
  FakeSocket.take().end(1006, 'of the second');
  expect(h.chat.state.reason).toBe('of the second');
});

test('an error from before is not the reason of an end', async () => {
  await open();
  h.socket.frame({ re: 0, err: { code: 'invalid_frame', message: 'from before' } });
  h.socket.frame({ push: 'notice', v: 1 });
  const call = h.chat.call({ do: 'x' }).catch((e) => e);
  h.socket.end(1001, 'going away');
  expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1001, reason: 'going away' });
  expect((await call).cause).toBeUndefined();
});

test('the server\'s contract is reported', async () => {
  await open({ contract: '2.ff' });
  expect(h.chat.state).toEqual({ name: 'open', transport: 'websocket', contract: '2.ff' });
});

test('garbage from a server harms nobody', async () => {
  await open();
  const told: string[] = [];
  h.chat.listen(':error', undefined, (e) => told.push(e.code));
  const garbage = [
    '[]', '1', '"x"', 'true', '{"re":0}', '{"re":"x","out":1}', '{"on":1}', '{"on":"room:r","e":"x","o":"1","data":1}', '{"bin":1}', '{"bin":"%"}', '{"away":{}}',
    '{"sub":{}}', '{"session":{}}', '{"cancel":{}}', '{"at":null}', '{"unsub":[]}', '{"open":null}', '{"call":{},"id":{}}', '{"session":null}', '{"push":{}}',
  ];
  for (const text of garbage) {
    await h.clock.pass(1000);
    if (FakeSocket.made.length) await h.greet();
    h.socket.text(text);
    await h.clock.pass(0);
  }
  await h.clock.pass(1000);
  if (FakeSocket.made.length) await h.greet();
  expect(told).toContain('invalid_frame');
  const call = h.chat.call({ do: 'x' });
  h.socket.frame({ re: h.socket.sent.at(-1).id, out: 'fine' });
  expect(await call).toBe('fine');
});
