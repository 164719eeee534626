// Runs the cases of conformance/client, whose README.md says what they mean.
import { expect, vi } from 'vitest';
import { connect, type KanavaConnection } from '../src/connection.js';
import type { KanavaOptions } from '../src/options.js';
import { KanavaError } from '../src/error.js';
import { presence, type KanavaPresences } from '../src/presence.js';
import { subscribe } from '../src/subscribing.js';
import type { Clock } from './clock.js';
import { FakeHTTP } from './fakehttp.js';
import { FakeSocket } from './fakesocket.js';

type Step = Record<string, any>;

export interface Case {
  name: string;
  options?: KanavaOptions & { contract?: string };
  signIn?: boolean;
  random?: number;
  steps: Step[];
}

interface Started {
  abort: AbortController;
  items: unknown[];
  iterator?: AsyncIterableIterator<unknown>;
  ended?: { out?: unknown; error?: any };
}

interface Ask {
  call: string;
  in: unknown;
  signal: AbortSignal;
  wait: () => void;
  resolve: (out: unknown) => void;
  reject: (error: unknown) => void;
}

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const plain = (value: unknown) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

export class Runner {
  private readonly clock: Clock;
  private socket!: FakeSocket | FakeHTTP;
  private readonly links: typeof FakeSocket | typeof FakeHTTP;
  private readonly chat: KanavaConnection;
  private told: any[] = [];
  private asks: Ask[] = [];
  private readonly asked = new Map<string, Ask>();
  private readonly calls = new Map<string, Started>();
  private readonly presences: Record<string, KanavaPresences<any>> = {};
  private readonly subscriptions = new Map<string, () => void>();

  constructor(test: Case, clock: Clock, transport: 'websocket' | 'sse') {
    this.clock = clock;
    this.links = transport === 'sse' ? FakeHTTP : FakeSocket;
    vi.spyOn(Math, 'random').mockReturnValue(test.random ?? 0);
    const { contract, ...options } = test.options ?? {};
    if (test.signIn) options.authenticate = (first) => first.call({ do: 'authenticate', in: { token: 't' } });
    this.chat = connect({ path: '/c', ...(contract && { contract }) }, 'http://server.test', {}, { WebSocket: FakeSocket, transport, ...options });
    const listen = (event: string, tell: (value: any, meta: any) => unknown) =>
      this.chat.listen(event, undefined, (value, meta) => this.told.push(plain(tell(value, meta))));
    listen(':opened', (v) => ({ opened: v ?? null }));
    listen(':lost', (lost) => ({ lost }));
    listen(':binary', (b) => ({ binary: Buffer.from(b).toString('hex') }));
    listen(':dropped', (d) => ({ dropped: d.action }));
    listen(':error', (e) => ({ error: e.code }));
    listen('p:notice', (v) => ({ push: { name: 'notice', v } }));
    for (const family of ['room', 'other']) {
      listen('t:' + family, (data, meta) => ({
        event: { ...meta, ...(data instanceof Uint8Array ? { b64: Buffer.from(data).toString('base64') } : { data }) },
      }));
    }
    for (const family of ['room', 'other']) {
      const ids = (list: readonly { id: string }[]) => (list.length ? list.map(({ id }) => id) : undefined);
      (this.presences[family] = presence(this.chat, family))(({ topic, key, count, members, joined, left }) => this.told.push(plain({
        presence: { topic, key, count, members: members ? [...members.values()] : null, joined: ids(joined), left: ids(left) },
      })));
    }
    for (const name of ['confirm', 'other']) {
      this.chat.handler(name, (input, { signal, wait }) =>
        new Promise((resolve, reject) => this.asks.push({ call: name, in: input, signal, wait, resolve, reject })));
    }
  }

  async step(step: Step) {
    const [name, ...more] = Object.keys(step).filter((member) => member !== 'note');
    if (!name || more.length || !(name in this.actions)) throw new Error(`a step needs one known member: ${JSON.stringify(step)}`);
    await this.actions[name]!(step[name]);
    await this.clock.pass(0);
  }

  /** Nothing is left over, also of the client itself. */
  async finish() {
    expect(this.socket?.sent ?? [], 'frames left over').toEqual([]);
    expect(this.told, 'told and not looked at').toEqual([]);
    expect(this.asks.map((ask) => ask.call), 'calls of the server left over').toEqual([]);
    expect(this.links.made.length, 'connections left over').toBe(0);
    this.chat.close();
    await this.clock.pass(0);
    expect(this.links.open.size, 'open connections after close()').toBe(0);
    expect(this.clock.count, 'timers after close()').toBe(0);
  }

  private start(given: any, run: (options: any, started: Started) => void) {
    const abort = new AbortController();
    const started: Started = { abort, items: [] };
    const { key, timeout } = given;
    const options = { signal: abort.signal, ...(key && { key }), ...(timeout !== undefined && { timeout: timeout || Infinity }) };
    this.calls.set(given.as, started);
    run(options, started);
  }

  private async take(started: Started, iterator: AsyncIterableIterator<unknown>) {
    started.iterator = iterator;
    try {
      for (let item; !(item = await iterator.next()).done; ) started.items.push(item.value);
      started.ended = {};
    } catch (error) {
      started.ended = { error };
    }
  }

  private of(name: string): Started {
    const started = this.calls.get(name);
    if (!started) throw new Error(`there is no call ${name}`);
    return started;
  }

  private readonly actions: Record<string, (arg: any) => unknown> = {
    connects: () => {
      this.socket = this.links.take();
      expect(this.socket.protocols[0]).toBe('kanava.v1');
    },
    accept: () => this.socket.accept(),
    greet: async (open) => {
      this.actions['connects']!(true);
      this.socket.accept();
      expect(Object.keys(this.socket.sent.shift())).toEqual(['hello']);
      this.socket.frame({ open: { id: 'c1', max: 65536, calls: 32, ping: 25000, keep: 0, keys: 0, has: [], ...open } });
      this.socket.frame({ push: '' });
      await this.clock.pass(0);
      expect(this.told.pop()).toEqual({ opened: null });
    },
    frame: (frame) => this.socket.frame(frame),
    text: (text) => this.socket.text(text),
    binary: (text) => this.socket.binary(hex(text)),
    expect: (want) => {
      const sent = this.socket.sent.shift();
      if (want.err && !('message' in want.err)) {
        expect(sent?.err?.message).toMatch(/./);
        delete sent.err.message;
      }
      expect(sent).toEqual(want);
    },
    expectBinary: (want) => expect(this.socket.sent.shift()).toEqual(hex(want)),
    expectNone: () => {
      expect(this.socket?.sent ?? []).toEqual([]);
      expect(this.links.made.length).toBe(0);
    },
    drop: (code) => this.socket.end(code),
    closed: () => expect(this.socket.closed).toBeDefined(),
    repeat: async ({ from, to, ...what }) => {
      for (let n = from; n <= to; n++) {
        for (const step of what.steps ?? [what]) {
          const text = JSON.stringify(step).replaceAll('"$"', String(n)).replaceAll('$', String(n));
          await this.step(JSON.parse(text));
        }
      }
    },
    pass: (ms) => this.clock.pass(ms),
    call: (c) =>
      this.start(c, (options, started) => {
        this.chat.call({ do: c.do, by: c.by, in: c.in }, options).then(
          (out) => (started.ended = { out }),
          (error) => (started.ended = { error }),
        );
      }),
    stream: (c) => this.start(c, (options, started) => this.take(started, this.chat.stream({ do: c.do, by: c.by, in: c.in }, options))),
    members: (m) =>
      this.start(m, (options, started) => {
        const [family, ...key] = m.topic.split(':');
        this.take(started, this.presences[family]!.members(key.join(':'), options));
      }),
    subscribe: (s) =>
      this.start(s, (_, started) => {
        const [family, ...key] = s.topic.split(':');
        subscribe(this.chat, family)(key.join(':')).then(
          (off) => {
            this.subscriptions.set(s.as, off);
            started.ended = { out: undefined };
          },
          (error) => (started.ended = { error }),
        );
      }),
    unsubscribe: (name) => this.subscriptions.get(name)!(),
    abort: (name) => this.of(name).abort.abort(),
    leave: (name) => this.of(name).iterator!.return!(),
    result: ({ of, code, unknownOutcome = false, retryAfter, ...want }) => {
      const { ended } = this.of(of);
      if (!ended) throw new Error(`${of} has not ended`);
      if (code === undefined) {
        if (ended.error) throw ended.error;
        expect(ended.out).toEqual(want.out);
      } else {
        expect(ended.error).toBeInstanceOf(KanavaError);
        const { error } = ended;
        expect({ code: error.code, unknownOutcome: error.unknownOutcome, retryAfter: error.retryAfter }).toEqual({ code, unknownOutcome, retryAfter });
      }
      this.calls.delete(of);
    },
    pending: (name) => expect(this.of(name).ended).toBeUndefined(),
    item: ({ of, value }) => expect(this.of(of).items.shift()).toEqual(value),
    sendBinary: (text) => this.chat.sendBinary(hex(text)),
    told: (want) => {
      const told = this.told.shift();
      if (want.presence && !('members' in want.presence)) delete told?.presence?.members;
      if ('binary' in want) want = { binary: want.binary.replaceAll(' ', '') };
      expect(told).toEqual(want);
    },
    toldNothing: () => expect(this.told).toEqual([]),
    asked: ({ as, ...want }) => {
      const ask = this.asks.shift();
      expect({ call: ask?.call, in: ask?.in }).toEqual({ in: undefined, ...want });
      this.asked.set(as, ask!);
    },
    answer: ({ of, out, code, fails, wait }) => {
      const ask = this.asked.get(of)!;
      if (wait) ask.wait();
      else if (fails) ask.reject(new Error('hidden'));
      else if (code) ask.reject(new KanavaError(code, 'message'));
      else ask.resolve(out);
    },
    unasked: (name) => expect(this.asked.get(name)!.signal.aborted).toBe(true),
    state: ({ in: wait, ...want }) => {
      expect(this.chat.state).toMatchObject(want);
      if (wait !== undefined) expect(this.chat.state.next! - Date.now()).toBe(wait);
    },
    close: () => this.chat.close(),
  };
}
