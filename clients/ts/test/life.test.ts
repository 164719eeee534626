import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
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

const nothing = { timers: 0, sockets: 0, listeners: 0 };

describe('back-off', () => {
  test('§5 waits are spread over the whole range, which doubles up to 20 s', async () => {
    const caps = [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000];
    const waits: number[][] = caps.map(() => []);
    for (let i = 0; i < 400; i++) {
      const chat = await h.connect();
      for (const [n, of] of waits.entries()) {
        FakeSocket.take().end(1006);
        const wait = chat.state.next! - Date.now();
        of.push(wait);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(caps[n]!);
        await h.clock.pass(wait);
      }
      FakeSocket.take();
      chat.close();
    }
    for (const [n, of] of waits.entries()) {
      const share = (from: number, to: number) => of.filter((w) => w >= caps[n]! * from && w < caps[n]! * to).length / of.length;
      // 400 draws of a quarter: five standard deviations are 0.11.
      for (const from of [0, 0.25, 0.5, 0.75]) expect(Math.abs(share(from, from + 0.25) - 0.25)).toBeLessThan(0.11);
    }
  });

  test('§5 an away range is spread too', async () => {
    const waits: number[] = [];
    for (let i = 0; i < 400; i++) {
      await h.connect();
      await h.greet();
      h.socket.frame({ away: { code: 4503, in: [1000, 5000] } });
      waits.push(h.chat.state.next! - Date.now());
      h.chat.close();
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1000);
    expect(Math.min(...waits)).toBeLessThan(1100);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5000);
    expect(Math.max(...waits)).toBeGreaterThan(4900);
  });
});

describe('a page', () => {
  test('that is hidden does not hurry, and one that is seen again connects at once', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    await h.connect();
    h.document.hidden = true;
    FakeSocket.take().end(1006);
    expect(h.chat.state.next! - Date.now()).toBe(10_000);
    h.document.fire('visibilitychange');
    await h.clock.pass(5000);
    expect(FakeSocket.made.length).toBe(0);
    h.document.hidden = false;
    h.document.fire('visibilitychange');
    await h.clock.pass(0);
    await h.greet();
    expect(h.chat.state.name).toBe('open');
    await h.clock.pass(10_000);
    expect(FakeSocket.made.length, 'the timer of the wait that was cut short').toBe(0);
  });

  test('without a network does not hurry, and connects when there is one', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    h.navigator.onLine = false;
    await h.connect();
    FakeSocket.take().end(1006);
    expect(h.chat.state.next! - Date.now()).toBe(20_000);
    h.document.fire('visibilitychange');
    expect(h.chat.state.name).toBe('waiting');
    h.navigator.onLine = true;
    h.window.fire('online');
    expect(h.chat.state.name).toBe('connecting');
  });

  test('does not cut a wait short that the server asked for', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    await h.connect();
    await h.greet();
    h.socket.frame({ away: { code: 4429, in: [2000, 4000] } });
    h.socket.end(4429);
    h.window.fire('online');
    await h.clock.pass(2999);
    expect(FakeSocket.made.length).toBe(0);
    await h.clock.pass(1);
    expect(FakeSocket.made.length).toBe(1);
  });

  test.each(['online', 'offline'])('%s checks an open connection at once', async (event) => {
    await h.connect();
    await h.greet();
    h.window.fire(event);
    expect(h.socket.sent).toEqual([{ id: 1, ping: true }]);
    await h.clock.pass(9999);
    expect(h.chat.state.name).toBe('open');
    await h.clock.pass(1);
    expect(h.chat.state).toMatchObject({ name: 'waiting', code: 4408 });
  });

  test('that is being hidden sends nothing', async () => {
    await h.connect();
    await h.greet();
    h.document.hidden = true;
    h.document.fire('visibilitychange');
    expect(h.socket.sent).toEqual([]);
  });

  test('that comes back does not put off the end of silence', async () => {
    await h.connect();
    await h.greet();
    await h.clock.pass(30_000);
    h.document.fire('visibilitychange');
    await h.clock.pass(4999);
    expect(h.chat.state.name).toBe('open');
    await h.clock.pass(1);
    expect(h.chat.state).toMatchObject({ code: 4408 });
  });

  test('that comes back and gets its answer stays', async () => {
    await h.connect();
    await h.greet();
    h.document.fire('visibilitychange');
    h.socket.frame({ re: 1 });
    await h.clock.pass(34_999);
    expect(h.chat.state.name).toBe('open');
  });
});

describe('sleep', () => {
  test('§5 after waking, silence is checked again 2 s later', async () => {
    await h.connect();
    await h.greet();
    h.clock.sleep(3_600_000);
    await h.clock.pass(1999);
    expect(h.chat.state.name).toBe('open');
    await h.clock.pass(1);
    expect(h.chat.state).toMatchObject({ code: 4408 });
  });

  test('§5 a frame that waited for the machine to wake keeps the connection', async () => {
    await h.connect();
    await h.greet();
    h.clock.sleep(3_600_000);
    await h.clock.pass(1000);
    h.socket.frame({});
    await h.clock.pass(30_000);
    expect(h.chat.state.name).toBe('open');
  });

  test('§5 where timers are always late, silence still ends', async () => {
    await h.connect();
    await h.greet();
    h.clock.sleep(60_000);
    await h.clock.pass(0);
    h.clock.sleep(60_000);
    await h.clock.pass(0);
    expect(h.chat.state).toMatchObject({ code: 4408 });
  });
});

describe('after close() nothing is left', () => {
  const setups: [string, () => Promise<unknown>][] = [
    ['while connecting', () => h.connect()],
    ['while the token is made', () => h.connect({ token: () => new Promise(() => {}) })],
    ['while greeting', async () => {
      await h.connect();
      FakeSocket.made[0]!.accept();
    }],
    ['while signing in', async () => {
      await h.connect({ authenticate: (chat) => chat.call({ do: 'a' }) });
      await h.greet();
    }],
    ['with calls, streams, recovery and a server\'s call', async () => {
      await h.connect();
      await h.greet({ keep: 1000, calls: 2 });
      h.chat.handler('confirm', () => new Promise(() => {}));
      for (const _ of [1, 2, 3]) h.chat.call({ do: 'x' }).catch(() => {});
      h.chat.stream({ do: 'y' });
      h.socket.frame({ sub: 'room:r', class: 'recoverable', e: 'x', o: 0 });
      h.socket.frame({ at: 'room:r', e: 'x', o: 5 });
      h.socket.frame({ re: h.socket.sent.at(-1).id, err: { code: 'internal', message: 'x' } });
      h.socket.frame({ call: 'confirm', id: 1, ms: 1000 });
      h.socket.frame({ session: { expiresIn: 100_000 } });
    }],
    ['while leaving', async () => {
      await h.connect();
      await h.greet();
      h.socket.frame({ away: { code: 4503, in: [1000, 2000] } });
    }],
    ['while waiting', async () => {
      await h.connect();
      FakeSocket.take().end(1006);
      h.chat.call({ do: 'x' }).catch(() => {});
    }],
  ];
  test.each(setups)('%s', async (_, setup) => {
    await setup();
    h.chat.close();
    await h.clock.pass(0);
    expect(h.left).toEqual(nothing);
    await h.clock.pass(100_000);
    expect(h.left).toEqual(nothing);
    expect(h.chat.state.name).toBe('closed');
    await expect(h.chat.call({ do: 'x' })).rejects.toMatchObject({ code: 'unavailable', unknownOutcome: false });
  });

  test.each(['connecting', 'greeting', 'open', 'leaving', 'waiting'])('in a listener that is told "%s"', async (name) => {
    const authenticate = vi.fn((chat) => chat.call({ do: 'a' }));
    const connecting = h.connect({ authenticate });
    const states: string[] = [];
    h.chat.listen(':state', undefined, (state) => {
      states.push(state.name);
      if (state.name === name) h.chat.close();
    });
    await connecting;
    const socket = FakeSocket.made.shift();
    socket?.accept();
    socket?.frame({ open: { id: 'c', max: 1000, calls: 1, ping: 1000, keep: 1000, keys: 0, has: [] } });
    socket?.frame({ away: { code: 4503, in: [1000, 2000] } });
    socket?.end(1006);
    await h.clock.pass(60_000);
    expect(states.at(-1)).toBe('closed');
    expect(states.indexOf(name)).toBe(states.length - 2);
    expect(authenticate).toHaveBeenCalledTimes(name === 'leaving' || name === 'waiting' ? 1 : 0);
    expect(h.left).toEqual(nothing);
  });

  test.each(['dropped', 'aborted'])('in what is told when the connection is lost: %s', async (what) => {
    await h.connect({ queue: 0 });
    await h.greet({ calls: 1 });
    const close = vi.fn(() => h.chat.close());
    if (what === 'dropped') h.chat.listen(':dropped', undefined, close);
    else h.chat.handler('confirm', (_, { signal }) => new Promise(() => signal.addEventListener('abort', close)));
    h.socket.frame({ call: 'confirm', id: 1, ms: 1000 });
    for (const _ of [1, 2]) h.chat.call({ do: 'x' }).catch(() => {});
    await h.clock.pass(0);
    h.socket.end(1006);
    await h.clock.pass(60_000);
    expect(close).toHaveBeenCalledTimes(1);
    expect(h.chat.state).toMatchObject({ name: 'closed', code: 1000 });
    expect(h.left).toEqual(nothing);
  });

  test.each([
    ['sign in', { authenticate: () => Promise.reject(new Error('x')) }],
    ['make the token', { token: () => Promise.reject(new Error('x')) }],
  ])('in what is told when it cannot %s', async (_, options) => {
    const connecting = h.connect(options);
    const close = vi.fn(() => h.chat.close());
    h.chat.listen(':error', undefined, close);
    await connecting;
    if (FakeSocket.made.length) await h.greet();
    await h.clock.pass(60_000);
    expect(close).toHaveBeenCalledTimes(1);
    expect(h.chat.state.name).toBe('closed');
    expect(h.left).toEqual(nothing);
  });

  test('a code that says stop leaves nothing either', async () => {
    await h.connect();
    await h.greet();
    h.socket.end(4403, 'forbidden');
    await h.clock.pass(0);
    expect(h.chat.state).toMatchObject({ name: 'closed', code: 4403, reason: 'forbidden' });
    expect(h.left).toEqual(nothing);
  });
});
