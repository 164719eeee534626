import { KanavaError, type KanavaErrorCode } from './error.js';
import { follow, type KanavaPosition, type KanavaTopic } from './topic.js';

/** Where a connection stands, and why the last one ended. */
export interface KanavaState {
  readonly name: 'idle' | 'connecting' | 'greeting' | 'open' | 'leaving' | 'waiting' | 'closed';
  /** The close code, and words for people. */
  readonly code?: number;
  readonly reason?: string;
  /** When the next try begins, as Date.now() counts. */
  readonly next?: number;
  /** While open: the contract that the server has, which may be newer than the client's. */
  readonly contract?: string;
}

export interface KanavaCallOptions {
  /** Gives the call up: it is cancelled at the server and fails with `canceled`. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call fails with `deadline_exceeded`; Infinity for none. Default: that of the connection; a stream only has to start in it. */
  timeout?: number | undefined;
  /** Makes the call idempotent, where the server can: it is sent again after a lost connection. Not for streams. */
  key?: string | undefined;
}

export interface KanavaOptions<Chat = KanavaConnection> {
  /** Signs in; runs on each connection before other calls are sent, and again before the session ends. */
  authenticate?: ((chat: Chat) => unknown) | undefined;
  /** Sent with the first frame of each connection. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Milliseconds a call may take. Default 10000. */
  timeout?: number | undefined;
  /** How many calls wait while there is no connection. Default 64. */
  queue?: number | undefined;
  /** For platforms without one of their own, such as Node 20. */
  WebSocket?: (new (url: string, protocols: string[], options?: any) => any) | undefined;
  /** Request headers, for a WebSocket class that takes them (ws, React Native). */
  headers?: Record<string, string> | undefined;
}

/** What the generator knows of a channel. */
export interface KanavaSpec {
  path: string; // the route's pattern
  query?: string[]; // members of the opening data that go into the query
  contract?: string;
}

/** What a handler of a server's call gets beside the input. */
export interface KanavaAsked {
  /** Aborted when the server no longer waits for the answer. */
  readonly signal: AbortSignal;
  /** Stops the server's clock, up to ten minutes: for questions that people answer. */
  wait(): void;
}

export interface KanavaConnection {
  call(by: string, action: string, input?: unknown, options?: KanavaCallOptions): Promise<any>;
  stream(by: string, action: string, input?: unknown, options?: KanavaCallOptions): AsyncIterableIterator<any>;
  listen(kind: 't' | 'p' | '', name: string, key: string | undefined, fn: (value: any, meta: any) => void): () => void;
  handler(name: string, fn: (input: any, asked: KanavaAsked) => unknown): () => void;
  send(input: unknown, options?: KanavaCallOptions): Promise<any>;
  sendBinary(bytes: Uint8Array): void;
  close(): void;
  readonly opened: Promise<any>;
  readonly state: KanavaState;
}

interface KanavaCall {
  action: string;
  text: string; // its frame, without id and key
  key: string | undefined;
  session: number | undefined; // belongs to authenticate, on the connection of this number
  id: number; // 0: not sent on this connection
  sent: number; // when it was sent first; 0: never
  over: boolean;
  start?: (() => void) | undefined;
  item?: ((value: any) => void) | undefined;
  done(error?: KanavaError, out?: unknown): void;
}

/** Connects, and connects again whenever the connection is lost, until close() or a code that says to stop. */
export function connect(spec: KanavaSpec, base: string | undefined, opening: any, options: KanavaOptions = {}): KanavaConnection {
  const url = address(spec, base, opening);
  const scope: any = globalThis;
  const Socket = options.WebSocket ?? scope.WebSocket;
  if (!Socket) throw new TypeError('this platform has no WebSocket: pass one in the options');
  const listeners = new Map<string, Set<{ key: string | undefined; fn: (value: any, meta: any) => void }>>();
  const handlers = new Map<string, (input: any, asked: KanavaAsked) => unknown>();
  const topics = new Map<string, KanavaTopic>();
  const queue: KanavaCall[] = []; // not sent yet
  let state: KanavaState = { name: 'idle' };
  let was: string[] = []; // ids of former connections, newest first
  let failures = 0; // tries in a row, for the back-off
  let refused = 0; // 4401 in a row without an `open` between
  let denied = 0; // the same, told to authenticate
  let notBefore = 0; // the server's retryAfter
  let patient = false; // the wait is the server's advice
  let reason: KanavaError | undefined; // the last error that belongs to no call

  // Of one connection, and gone with it:
  let run = 0; // its number
  let socket: any;
  let server: any; // what `open` says
  let openedAt = Infinity;
  let ready = false; // authenticated
  let ids = 0;
  let running = 0; // calls without their last frame
  let recovers = 0;
  let away: { code: number; at: number; until: number } | undefined;
  let due = Infinity; // when silence means that it is lost
  let woken = false;
  const replies = new Map<number, (frame?: any) => void>(); // without a frame: the connection is lost
  const asked = new Map<number, (error: KanavaError) => void>(); // the server's calls, and how to end them
  const timers = new Map<unknown, any>();

  let resolveOpened: (value: any) => void, rejectOpened: (error: unknown) => void;
  const opened = new Promise<any>((resolve, reject) => {
    resolveOpened = resolve;
    rejectOpened = reject;
  });
  opened.catch(() => {});

  const now = () => Date.now();
  const fault = (code: KanavaErrorCode, message: string, unknownOutcome = false, cause?: unknown) =>
    new KanavaError(code, message, { unknownOutcome, cause });
  const told = (err: any) => new KanavaError(err.code, err.message, err);

  const known = (error: any) =>
    error instanceof KanavaError ? error : fault('unavailable', String(error?.message ?? error), false, error);

  // setTimeout takes no more for a wait than what fits into 31 bits.
  const after = (ms: number, then: () => void) => setTimeout(then, Math.min(ms, 2 ** 31 - 1));
  const later = (name: unknown, then: () => void, ms: number) => {
    clearTimeout(timers.get(name));
    timers.set(name, after(ms, then));
  };

  const emit = (event: string, value: any, meta?: any) => {
    const all = listeners.get(event);
    for (const entry of [...(all ?? [])]) {
      const { key, fn } = entry;
      if (all!.has(entry) && (key === undefined || key === meta.key)) {
        try {
          fn(value, meta);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  };

  const closed = () => state.name === 'closed';
  const become = (next: KanavaState) => {
    state = next;
    emit(':state', state);
  };

  // --- Calls -------------------------------------------------------------

  const tooLarge = (text: string) =>
    text.length * 3 > server?.max && new TextEncoder().encode(text).length > server.max && fault('too_large', 'the message is larger than the server takes');

  const send = (frame: unknown) => socket.send(JSON.stringify(frame));

  const begin = (
    session: number | undefined, by: string, action: string, input: unknown, given: KanavaCallOptions = {},
    settled: (error?: KanavaError, out?: unknown) => void, item?: (value: any) => void,
  ) => {
    const { signal, timeout = options.timeout ?? 10_000, key } = given;
    let timer: any;
    const call: KanavaCall = {
      action,
      text: JSON.stringify({ do: action, by: by || undefined, in: input }).slice(1),
      key, session, id: 0, sent: 0, over: false,
      start: item && given.timeout === undefined ? () => clearTimeout(timer) : undefined,
      item: item && ((value) => call.over || item(value)),
      done(error, out) {
        if (call.over) return;
        call.over = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        if (queue.includes(call)) queue.splice(queue.indexOf(call), 1);
        settled(error, out);
      },
    };
    const giveUp = (code: KanavaErrorCode, message: string, cause?: unknown) => {
      if (call.over) return;
      if (call.id) send({ cancel: call.id });
      call.done(fault(code, message, call.sent > 0, cause));
    };
    const abort = () => giveUp('canceled', 'the call was given up', signal!.reason);

    if (signal?.aborted) abort();
    else if (closed()) call.done(gone());
    else if (session && session !== run) call.done(fault('unavailable', 'there is no connection'));
    // The server would take such a message for a broken frame, and close.
    else if (/(^|[^\\])(\\\\)*\\ud[89a-f]/.test(call.text)) call.done(fault('invalid_argument', 'half of a surrogate pair'));
    else {
      signal?.addEventListener('abort', abort);
      if (timeout < Infinity) timer = after(timeout, () => giveUp('deadline_exceeded', call.sent ? 'no answer in time' : 'it could not be sent in time'));
      queue.push(call);
      flush();
      trim();
    }
    return () => giveUp('canceled', 'the loop was left');
  };

  const transmit = (call: KanavaCall) => {
    const id = ids + 1;
    const again = call.key !== undefined && server.keys > 0;
    if (call.sent && !(again && now() < call.sent + server.keys)) return call.done(lost(true));
    const text = `{"id":${id},${again ? `"key":${JSON.stringify(call.key)},` : ''}${call.text}`;
    const error = tooLarge(text);
    if (error) return call.done(error);
    call.id = ids = id;
    call.sent ||= now();
    call.start?.();
    running++;
    replies.set(id, (f) => {
      if (!f) {
        call.id = 0;
        if (again && !call.over) queue.push(call);
        else call.done(lost(true));
      } else if ('item' in f) {
        call.item?.(f.item);
      } else {
        replies.delete(id);
        running--;
        call.id = 0;
        call.done(f.err && told(f.err), f.out);
        if (away && !running && now() >= away.at) leave();
        flush();
      }
    });
    socket.send(text);
  };

  const gone = () => fault('unavailable', 'the connection is closed: ' + state.reason, false, reason);

  const lost = (unknownOutcome: boolean) => fault('unavailable', 'the connection was lost', unknownOutcome, reason);

  const flush = () => {
    let call: KanavaCall | undefined;
    while (server && !away && (call = queue.find((c) => c.session || (ready && running < server.calls)))) {
      queue.splice(queue.indexOf(call), 1);
      transmit(call);
    }
  };

  const trim = () => {
    while (!ready && queue.length > (options.queue ?? 64)) {
      const call = queue.shift()!;
      const error = fault('unavailable', 'too many calls wait for a connection', call.sent > 0);
      call.done(error);
      emit(':dropped', { action: call.action, error });
    }
  };

  const calls = (session?: number) => {
    const call = (by: string, action: string, input?: unknown, given?: KanavaCallOptions) =>
      new Promise<any>((resolve, reject) => {
        begin(session, by, action, input, given, (error, out) => (error ? reject(error) : resolve(out)));
      });
    const send = (input: unknown, given?: KanavaCallOptions) => call('', '', input, given);
    const stream = (by: string, action: string, input?: unknown, given?: KanavaCallOptions): AsyncIterableIterator<any> => {
      const items: any[] = [];
      let end: { error: KanavaError | undefined } | undefined;
      const waiters: (() => void)[] = [];
      const wake = () => waiters.splice(0).forEach((go) => go());
      const finish = (error?: KanavaError) => {
        end ??= { error };
        wake();
      };
      const cancel = begin(session, by, action, input, given, finish, (value) => {
        items.push(value);
        if (items.length > 1000) {
          finish(fault('resource_exhausted', 'the stream is faster than its reader'));
          cancel();
        }
        wake();
      });
      return {
        async next() {
          while (!items.length && !end) await new Promise<void>((resolve) => waiters.push(resolve));
          if (items.length) return { done: false, value: items.shift() };
          const { error } = end!;
          end = { error: undefined };
          if (error) throw error;
          return { done: true, value: undefined };
        },
        async return(value) {
          end = { error: undefined };
          items.length = 0;
          cancel();
          wake();
          return { done: true, value };
        },
        [Symbol.asyncIterator]() {
          return this;
        },
      };
    };
    return { call, send, stream };
  };

  const signIn = async () => {
    const mine = run;
    try {
      await options.authenticate!(Object.assign(Object.create(api), calls(mine)));
      if (mine !== run) return;
      denied = 0;
      becomeReady();
    } catch (error: any) {
      if (mine !== run) return;
      emit(':error', known(error));
      if (ready) return; // the session lasts a while yet
      if (error?.retryAfter) notBefore = now() + error.retryAfter;
      const wrong = error?.code === 'unauthenticated';
      lose(wrong ? 4401 : 1006, 'authentication failed: ' + known(error).message, wrong && ++denied > 1);
    }
  };

  const becomeReady = () => {
    ready = true;
    flush();
  };

  // --- Frames ------------------------------------------------------------

  const deliver = (name: string, { data, b64 }: any) => {
    if (data === undefined && b64 === undefined) return; // only a position
    const colon = (name + ':').indexOf(':');
    emit('t:' + name.slice(0, colon), b64 === undefined ? data : bytes(b64), { topic: name, key: name.slice(colon + 1) });
  };

  const topic = (name: string) => {
    let t = topics.get(name);
    if (!t) {
      t = follow({
        deliver: (f) => deliver(name, f),
        lost: (from, to) => emit(':lost', { topic: name, from, to }),
        ask(from: KanavaPosition, answer) {
          if (recovers > 3) return false;
          recovers++;
          request({ recover: name, e: from.e, o: from.o }, (f) => {
            recovers--;
            if (topics.get(name) === t) answer(f);
            for (const other of topics.values()) other.wake();
          });
          return true;
        },
        later: (then, ms) => later(t, then, ms),
      });
      topics.set(name, t);
    }
    return t;
  };

  const request = (frame: object, answer: (frame: any) => void) => {
    const id = ++ids;
    replies.set(id, (f) => {
      replies.delete(id);
      if (f) answer(f);
    });
    send({ id, ...frame });
  };

  // One entry a kind of frame.
  const kinds: Record<string, (frame: any) => void> = {
    open({ open }) {
      if (server) return;
      server = open;
      was = [open.id, ...was].slice(0, 8);
      openedAt = now();
      refused = 0;
      clearTimeout(timers.get('greet'));
      alive();
      check();
      if (open.keep) later('keep', keep, open.keep);
      become({ name: 'open', contract: open.contract });
      if (!server) return; // a listener closed
      if (options.authenticate) signIn();
      else becomeReady();
    },
    re(f) {
      if (f.re) return replies.get(f.re)?.(f);
      reason = told(f.err);
      if (reason.retryAfter) notBefore = now() + reason.retryAfter;
      emit(':error', reason);
    },
    push(f) {
      if (f.push) return emit('p:' + f.push, f.v);
      resolveOpened(f.v);
      emit(':opened', f.v);
    },
    bin: (f) => emit(':binary', bytes(f.bin)),
    sub: (f) => topic(f.sub).frame('sub', f),
    on: (f) => topic(f.on).frame('on', f),
    at: (f) => topics.get(f.at)?.frame('at', f),
    unsub(f) {
      clearTimeout(timers.get(topics.get(f.unsub)));
      topics.delete(f.unsub);
    },
    async call(f) {
      const abort = new AbortController();
      const reply = (answer: object) => {
        const text = JSON.stringify({ re: f.id, ...answer });
        const error = tooLarge(text);
        clearTimeout(timer);
        if (asked.get(f.id) !== stop) return;
        asked.delete(f.id);
        socket.send(error ? JSON.stringify({ re: f.id, err: error.wire() }) : text);
      };
      const stop = (error: KanavaError) => {
        reply({ err: error.wire() });
        abort.abort(error);
      };
      const limit = (ms: number) => setTimeout(stop, ms, fault('deadline_exceeded', 'the server waits no longer'));
      let timer = limit(f.ms);
      asked.set(f.id, stop);
      try {
        const fn = handlers.get(f.call);
        if (!fn) throw fault('unimplemented', 'nothing handles this call');
        const out = await fn(f.in, {
          signal: abort.signal,
          wait() {
            if (asked.get(f.id) !== stop) return;
            clearTimeout(timer);
            timer = limit(600_000);
            send({ re: f.id, wait: true });
          },
        });
        reply({ out: out ?? null });
      } catch (error) {
        reply({ err: (error instanceof KanavaError ? error : fault('internal', 'the handler failed')).wire() });
      }
    },
    cancel: (f) => asked.get(f.cancel)?.(fault('canceled', 'the server gave the call up')),
    session({ session: { expiresIn } }) {
      // Every sign-in brings this frame: a short session must not make a loop.
      if (options.authenticate) later('session', signIn, Math.max(expiresIn - 60_000, expiresIn / 2));
    },
    away({ away: { code, in: range } }) {
      if (!range || stops(code)) return lose(code, reason?.message ?? (code === 4426 ? 'the server no longer takes clients as old as this one' : 'closed by the server'));
      const at = now() + spread(range[0], range[1]);
      away = { code, at, until: now() + range[1] };
      later('leave', leave, at - now());
      become({ name: 'leaving', code, next: at });
    },
  };

  const receive = (text: string) => {
    try {
      const frame = JSON.parse(text);
      const members = Object.keys(frame);
      const [kind, second] = members.filter((name) => Object.hasOwn(kinds, name));
      if (second) throw second;
      if (kind && kind !== 'away') reason = undefined;
      if (kind) kinds[kind]!(frame);
      else if (!members.length) send({});
    } catch (error) {
      emit(':error', fault('invalid_frame', 'the server sent a frame that makes no sense', false, error));
    }
  };

  // --- Life of a connection ----------------------------------------------

  const alive = () => {
    woken = false;
    due = server?.ping ? now() + server.ping + 10_000 : Infinity;
  };

  // Timers that are late stood still: the machine slept, and what came meanwhile is read first.
  const check = () => {
    const over = now() - due;
    if (over >= 0) {
      if (woken || over < 1000) return lose(4408, 'the server is silent');
      woken = true;
      due = now() + 2000;
    }
    if (due < Infinity) later('life', check, due - now());
  };

  const ping = () => {
    request({ ping: true }, ({ out }) => {
      for (const name in out?.at) topics.get(name)?.frame('at', out.at[name]);
    });
    due = Math.min(due, now() + 10_000);
    check();
  };

  const keep = () => {
    later('keep', keep, server.keep);
    ping();
  };

  const attempt = async () => {
    if (closed()) return;
    const mine = ++run;
    clearTimeout(timers.get('retry'));
    later('greet', () => lose(1006, 'no answer'), 15_000);
    become({ name: 'connecting' });
    try {
      const { token } = options;
      const secret = typeof token === 'function' ? await token() : token;
      if (mine !== run) return;
      const s = (socket = new Socket(url, ['kanava.v1'], options.headers && { headers: options.headers }));
      s.binaryType = 'arraybuffer';
      s.onopen = () => {
        send({ hello: { contract: spec.contract, token: secret, was: was.length ? was : undefined } });
        become({ name: 'greeting' });
      };
      s.onmessage = ({ data }: any) => {
        alive();
        if (typeof data !== 'string') emit(':binary', new Uint8Array(data));
        else if (data) receive(data);
      };
      s.onclose = (e: any) => lose(away?.code ?? e.code, reason?.message ?? e.reason);
      s.onerror = () => {};
    } catch (error) {
      if (mine !== run) return;
      emit(':error', known(error));
      lose(1006, 'no connection');
    }
  };

  // Nothing of an old connection is ever answered on a new one.
  const drop = (code?: number) => {
    run++;
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    }
    for (const t of topics.values()) t.drop();
    socket = server = away = undefined;
    openedAt = due = Infinity;
    ready = woken = false;
    ids = running = recovers = 0;
    const waiting = queue.splice(0);
    for (const reply of [...replies.values()]) reply();
    replies.clear();
    for (const call of waiting) {
      if (call.session) call.done(lost(false));
      else queue.push(call);
    }
    const open = [...asked.values()];
    asked.clear();
    for (const stop of open) stop(lost(false));
    trim();
  };

  const lose = (code: number, text: string, final = false) => {
    const advice = away?.at;
    if (now() - openedAt >= 10_000) failures = 0;
    drop();
    if (closed()) return; // by who was told of the loss
    if (final || stops(code) || (code === 4401 && ++refused > 1)) return end(code, text);
    patient = !!advice || notBefore > now();
    const next = advice ?? Math.max(now(), notBefore) + spread(0, calm() ? 20_000 : Math.min(20_000, 500 * 2 ** failures++));
    reason = undefined;
    later('retry', attempt, next - now());
    become({ name: 'waiting', code, reason: text, next });
  };

  const leave = () => {
    if (running && now() < away!.until) later('leave', leave, away!.until - now());
    else lose(away!.code, 'the server asked to come back');
  };

  const end = (code: number, text: string) => {
    drop(1000);
    watch('removeEventListener');
    become({ name: 'closed', code, reason: text });
    const error = gone();
    rejectOpened(error);
    for (const call of [...queue]) call.done(error);
  };

  // Whoever cannot be seen, or has no network, does not hurry.
  const calm = () => scope.document?.hidden || scope.navigator?.onLine === false;

  const wake = () => {
    if (scope.document?.hidden) return;
    if (server) ping();
    else if (state.name === 'waiting' && !patient && !calm()) attempt();
  };
  const watch = (verb: 'addEventListener' | 'removeEventListener') => {
    for (const event of ['online', 'offline']) scope[verb]?.(event, wake);
    scope.document?.[verb]?.('visibilitychange', wake);
  };

  const api: KanavaConnection = {
    ...calls(),
    listen(kind, name, key, fn) {
      const event = kind + ':' + name;
      const entry = { key, fn };
      if (!listeners.has(event)) listeners.set(event, new Set());
      listeners.get(event)!.add(entry);
      return () => void listeners.get(event)!.delete(entry);
    },
    handler(name, fn) {
      handlers.set(name, fn);
      return () => void (handlers.get(name) === fn && handlers.delete(name));
    },
    sendBinary(data) {
      if (!server) throw fault('unavailable', 'there is no connection');
      if (data.length > server.max) throw fault('too_large', 'the message is larger than the server takes');
      socket.send(data);
    },
    close: () => void (closed() || end(1000, 'closed')),
    opened,
    get state() {
      return state;
    },
  };
  watch('addEventListener');
  queueMicrotask(attempt);
  return api;
}

/** The codes after which a client stays away. */
function stops(code: number): boolean {
  return code >= 4400 && code < 4500 ? ![4401, 4408, 4409, 4429].includes(code)
    : [1000, 1002, 1003, 1007, 1008, 1009, 1010].includes(code) || (code >= 4000 && code < 4200);
}

function spread(from: number, to: number): number {
  return from + Math.random() * (to - from);
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

function address(spec: KanavaSpec, base: string | undefined, opening: any): string {
  const path = spec.path.replace(/\{([^{}.]+)(\.\.\.)?\}/g, (_, name, rest) => {
    const text = encodeURIComponent(opening[name]);
    return rest ? text.replaceAll('%2F', '/') : text;
  });
  const query = (spec.query ?? []).flatMap((name) =>
    [opening[name] ?? []].flat().map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`));
  const root = base ?? String(globalThis.location?.origin);
  if (!/^(http|ws)s?:\/\/[^/?#]+[^?#]*$/i.test(root)) throw new TypeError('the address of the server is http(s)://HOST, not ' + root);
  const url = root.replace(/^http/i, 'ws').replace(/\/$/, '') + path;
  return new URL(query.length ? `${url}?${query.join('&')}` : url).href;
}
