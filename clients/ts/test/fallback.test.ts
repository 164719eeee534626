// Which transport a client takes (section 5 of the protocol).
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeHTTP } from './fakehttp.js';
import { FakeSocket } from './fakesocket.js';
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
  h.end();
});

const both = (options: object = {}) => h.connect({ transport: undefined, ...options });
const begun = () => ({ sockets: FakeSocket.made.length, streams: FakeHTTP.made.length });
const blocked = async (code = 1006) => {
  FakeSocket.take().end(code);
  await h.clock.pass(0);
};
/** Open by server-sent events, because no WebSocket comes through. */
const bySSE = async (options: object = {}) => {
  await both(options);
  await blocked();
  await h.greetStream();
  expect(h.chat.state).toMatchObject({ name: 'open', transport: 'sse' });
};
/** As the server ends a connection that is to come back at once. */
const drained = async (link: { frame(frame: object): void; end(code: number): void }) => {
  link.frame({ away: { code: 4503, in: [0, 0] } });
  link.end(4503);
  await h.clock.pass(0);
};

test('§5 a WebSocket that opens is taken, and nothing else tried', async () => {
  await both();
  await h.greet();
  expect(h.chat.state).toEqual({ name: 'open', transport: 'websocket', contract: undefined });
  await h.clock.pass(20_000);
  expect(begun()).toEqual({ sockets: 0, streams: 0 });
});

test('§5 one that ends without having opened: the same try goes on by server-sent events', async () => {
  await both();
  const states: string[] = [];
  h.chat.listen(':state', undefined, ({ name }) => states.push(name));
  const call = h.chat.call({ do: 'x' });
  await blocked();
  await h.greetStream();
  expect(states).toEqual(['connecting', 'greeting', 'open']);
  expect(h.stream.sent).toEqual([{ id: 1, do: 'x' }]);
  h.stream.frame({ re: 1, out: 1 });
  expect(await call).toBe(1);
});

test.each([1006, 1011, 1001])('§5 one that is cut with %i when it stands: the same', async (code) => {
  await both();
  FakeSocket.made[0]!.accept();
  await blocked(code);
  expect(begun()).toEqual({ sockets: 0, streams: 1 });
  FakeHTTP.take();
});

test('§5 one that is not open in 5 s: the same, and both have 15 s together', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1);
  await both();
  const socket = FakeSocket.take();
  await h.clock.pass(4999);
  expect(begun()).toEqual({ sockets: 0, streams: 0 });
  await h.clock.pass(1);
  expect(socket.closed).toBe(1005);
  expect(begun()).toEqual({ sockets: 0, streams: 1 });
  FakeHTTP.take();
  await h.clock.pass(9999);
  expect(h.chat.state.name).toBe('connecting');
  await h.clock.pass(1);
  expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1006, next: h.clock.now + 500 });
});

test('§5 the 5 s are for the transport: a slow sign-in by hello has 15', async () => {
  await both();
  const socket = FakeSocket.take();
  socket.accept();
  await h.clock.pass(14_999);
  socket.frame({ open: { id: 'c' } });
  expect(h.chat.state).toMatchObject({ name: 'open', transport: 'websocket' });
});

test('§5 one that stands and brings nothing: the next try begins by server-sent events', async () => {
  await both();
  FakeSocket.take().accept();
  await h.clock.pass(15_000);
  expect(begun()).toEqual({ sockets: 0, streams: 1 });
  await h.greetStream();
});

test('§5 what the server has said on it counts', async () => {
  for (const frame of [{ re: 0, err: { code: 'unavailable', message: 'later', retryAfter: 5000 } }, { away: { code: 4503, in: [1000, 1000] } }]) {
    await both();
    const socket = FakeSocket.take();
    socket.accept();
    socket.frame(frame);
    socket.end(1006);
    await h.clock.pass(999);
    expect(begun()).toEqual({ sockets: 0, streams: 0 });
    h.chat.close();
  }
  await both();
  FakeSocket.take().end(1008);
  expect(h.chat.state).toMatchObject({ name: 'closed', code: 1008 });
});

test('§5 whoever has had a WebSocket goes on only in the second try that fails', async () => {
  await both();
  await h.greet();
  h.socket.end(1006);
  await h.clock.pass(0);
  await blocked();
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
  await blocked();
  await h.greetStream();
  expect(h.chat.state).toMatchObject({ name: 'open', transport: 'sse' });
});

test('§5 both fail: one wait, which grows once', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1);
  await both();
  for (const wait of [500, 1000, 2000]) {
    await blocked();
    FakeHTTP.take().end(1006);
    await h.clock.pass(0);
    expect(h.chat.state).toMatchObject({ name: 'waiting', next: h.clock.now + wait });
    await h.clock.pass(wait);
  }
  FakeSocket.take();
});

test('P3 what the server has answered is what ended the try', async () => {
  await both();
  const errors: string[] = [];
  h.chat.listen(':error', undefined, (error) => errors.push(error.code));
  await blocked();
  FakeHTTP.take().refuse(503, { error: { code: 'unavailable', message: 'draining', retryAfter: 3000 } });
  await h.clock.pass(0);
  expect(h.chat.state).toMatchObject({ name: 'waiting', code: 1006, reason: 'draining', next: h.clock.now + 3000 });
  expect(errors).toEqual(['unavailable']);
});

test('§5 for 10 minutes the next one begins by server-sent events, and goes on by WebSocket at once', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1); // it looks for a WebSocket after 10 minutes
  await bySSE();
  await drained(h.stream);
  expect(begun()).toEqual({ sockets: 0, streams: 1 });
  await h.greetStream();
  await drained(h.stream);
  FakeHTTP.take().refuse(502);
  await h.clock.pass(0);
  await h.greet();
  expect(h.chat.state).toMatchObject({ name: 'open', transport: 'websocket' });
  await drained(h.socket);
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
});

test('§5 of server-sent events, too, no more than 5 s are waited for', async () => {
  await bySSE();
  await drained(h.stream);
  const stream = FakeHTTP.take();
  await h.clock.pass(5000);
  expect(stream.closed).toBe(1005);
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
});

test('§5 after 10 minutes it begins by WebSocket', async () => {
  await bySSE();
  h.stream.frame({ away: { code: 4503, in: [600_001, 600_001] } });
  h.stream.end(4503);
  await h.clock.pass(0);
  await h.clock.pass(600_001);
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
});

/** Time in which the server gives signs of life. */
const live = async (ms: number) => {
  for (let at = 0; at < ms; at += 30_000) {
    h.stream.raw(':\n\n');
    await h.clock.pass(Math.min(30_000, ms - at));
  }
};

test('§5 after 5 to 10 minutes it looks whether a WebSocket opens, says nothing on it, and comes back with one', async () => {
  await bySSE();
  const call = h.chat.call({ do: 'x', in: 1 }, { timeout: Infinity });
  const states: unknown[] = [];
  h.chat.listen(':state', undefined, (state) => states.push(state));
  await live(299_999);
  expect(begun()).toEqual({ sockets: 0, streams: 0 });
  await h.clock.pass(1);
  const probe = FakeSocket.take();
  expect(probe.protocols).toEqual(['kanava.v1']);
  probe.accept();
  expect(probe.sent).toEqual([]);
  expect(probe.closed).toBe(1000);
  probe.end(1000);
  const at = h.clock.now;
  expect(states).toEqual([{ name: 'leaving', code: undefined, next: at }]);
  expect(h.chat.state.name, 'a call runs').toBe('leaving');
  h.stream.frame({ re: 1, out: 1 });
  expect(await call).toBe(1);
  await h.clock.pass(0);
  await h.greet();
  expect(h.chat.state).toMatchObject({ name: 'open', transport: 'websocket' });
  expect(states[1]).toMatchObject({ name: 'waiting', code: undefined, reason: 'a WebSocket opens again' });
  expect(h.stream.closed).toBe(1005);
});

test('§5 the time is random, and so is that of the return', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1);
  await bySSE();
  await live(599_999);
  expect(begun()).toEqual({ sockets: 0, streams: 0 });
  await h.clock.pass(1);
  const probe = FakeSocket.take();
  probe.accept();
  probe.end(1000);
  expect(h.chat.state).toMatchObject({ name: 'leaving', next: h.clock.now + 5000 });
});

test('§5 one that is refused, cut or swallowed lets it stay', async () => {
  await bySSE();
  for (const how of ['refused', 'cut', 'swallowed', 'swallowed when it stands']) {
    await live(300_000);
    const probe = FakeSocket.take();
    if (how === 'cut' || how === 'swallowed when it stands') probe.accept();
    if (how === 'refused' || how === 'cut') probe.end(1006);
    else {
      await live(5000);
      expect(probe.closed).toBeDefined();
    }
    expect(begun(), how).toEqual({ sockets: 0, streams: 0 });
    expect(h.chat.state.name).toBe('open');
  }
});

test('§5 it looks at once when there is a network again, and once at a time', async () => {
  await bySSE();
  h.window.fire('offline');
  h.document.fire('visibilitychange');
  expect(begun()).toEqual({ sockets: 0, streams: 0 });
  h.window.fire('online');
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
  const [first] = FakeSocket.made;
  h.window.fire('online');
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
  first!.accept();
  first!.end(1000);
  expect(h.chat.state.name).toBe('waiting');
  FakeSocket.take();
  await h.clock.pass(0);
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
});

test('§5 a server that says away meanwhile is heard', async () => {
  await bySSE();
  h.window.fire('online');
  h.stream.frame({ away: { code: 4503, in: [7000, 7000] } });
  await h.clock.pass(0);
  const probe = FakeSocket.take();
  probe.accept();
  probe.end(1000);
  expect(h.chat.state).toMatchObject({ name: 'leaving', code: 4503, next: h.clock.now + 7000 });
});

test.each(['before', 'while it opens', 'while it closes'])('close() %s leaves nothing of the look', async (when) => {
  await bySSE();
  if (when !== 'before') h.window.fire('online');
  const probe = FakeSocket.made.shift();
  if (when === 'while it closes') probe!.accept();
  h.chat.close();
  await h.clock.pass(0);
  expect(h.left).toEqual({ timers: 0, sockets: 0, listeners: 0 });
  probe?.end(1000);
  await h.clock.pass(700_000);
  expect(h.left).toEqual({ timers: 0, sockets: 0, listeners: 0 });
});

test('the option is the only transport', async () => {
  await h.connect({ transport: 'sse' });
  await h.greetStream();
  h.window.fire('online');
  await live(700_000);
  h.stream.end(1006);
  await h.clock.pass(0);
  FakeHTTP.take().end(1006);
  await h.clock.pass(0);
  expect(begun()).toEqual({ sockets: 0, streams: 1 });
  h.chat.close();
  FakeHTTP.take();

  await h.connect({ transport: 'websocket' });
  await blocked();
  await blocked();
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
});

test('without a WebSocket it is server-sent events, and without streams in fetch a WebSocket', async () => {
  vi.stubGlobal('WebSocket', undefined);
  await both();
  await h.greetStream();
  await live(700_000);
  h.chat.close();

  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('Response', class {});
  await both();
  await blocked();
  await blocked();
  expect(begun()).toEqual({ sockets: 1, streams: 0 });
});

test('the token is made for each transport', async () => {
  let n = 0;
  await both({ token: async () => 't' + ++n });
  await blocked();
  FakeHTTP.made[0]!.accept();
  expect(FakeHTTP.take().sent).toEqual([{ hello: { token: 't2' } }]);
});
