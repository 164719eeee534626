import { address } from './address.js';
import { answers, type KanavaHandler } from './asked.js';
import { bytes } from './bytes.js';
import { calls, type KanavaAsk } from './calls.js';
import { tooLarge, type KanavaCore } from './core.js';
import { fault, told } from './error.js';
import { heartbeat } from './heartbeat.js';
import { listeners } from './listeners.js';
import type { KanavaCallOptions, KanavaOptions, KanavaSpec } from './options.js';
import { reconnect } from './reconnect.js';
import { signIn } from './signin.js';
import type { KanavaState } from './state.js';
import { stream } from './stream.js';
import { timers } from './timers.js';
import { topics } from './topics.js';

/** What the typed face of a channel is made of. */
export interface KanavaConnection {
  call(frame: KanavaAsk, options?: KanavaCallOptions): Promise<any>;
  stream(frame: KanavaAsk, options?: KanavaCallOptions): AsyncIterableIterator<any>;
  listen(event: string, key: string | undefined, fn: (value: any, meta: any) => void): () => void;
  handler(name: string, fn: KanavaHandler): () => void;
  sendBinary(bytes: Uint8Array): void;
  close(): void;
  readonly core: KanavaCore;
  readonly opened: Promise<any>;
  readonly state: KanavaState;
}

/** A client of one channel: puts the parts together, and gives them the face of the channel. */
export function connect<Face = KanavaConnection>(
  spec: KanavaSpec, base: string | undefined, opening: object, options: KanavaOptions<Face> = {}, face = (c: KanavaConnection) => c as Face,
): Face {
  const url = address(spec, base, opening);
  const { listen, emit } = listeners();
  const { later, cancelAll } = timers();

  // The parts add what they do for each other.
  const core = {
    options, listen, emit, later,
    drops: [cancelAll], state: { name: 'idle' }, notBefore: 0, run: 0, running: 0,
    send: (frame: object) => core.link!.send(JSON.stringify(frame)),
    blame(error) {
      core.reason = error;
      if (error.retryAfter) core.notBefore = Date.now() + error.retryAfter;
      emit(':error', error);
    },
    kinds: {
      re(f) {
        if (f.re) return core.answer(f);
        core.blame(told(f.err));
      },
      push(f) {
        if (f.push) return emit('p:' + f.push, f.v);
        core.opened(f.v);
        emit(':opened', f.v);
      },
      bin: (f) => emit(':binary', bytes(f.bin)),
    },
  } as Partial<KanavaCore> as KanavaCore;

  const opened = new Promise<any>((opened, failed) => Object.assign(core, { opened, failed }));
  opened.catch(() => {});

  const message = (data: string | ArrayBuffer) => {
    heart.alive();
    if (typeof data !== 'string') return emit(':binary', new Uint8Array(data));
    if (!data) return;
    try {
      const frame = JSON.parse(data);
      const members = Object.keys(frame);
      const [kind, second] = members.filter((name) => Object.hasOwn(core.kinds, name));
      if (second) throw second;
      if (kind && kind !== 'away') core.reason = undefined;
      if (kind) core.kinds[kind]!(frame);
      else if (!members.length) core.send({});
    } catch (error) {
      emit(':error', fault('invalid_frame', 'the server sent a frame that makes no sense', false, error));
    }
  };

  const begin = calls(core);
  const handler = answers(core);
  const heart = heartbeat(core, topics(core));
  const ready = signIn(core, () => face(Object.assign(Object.create(api), asking(core.run))));
  const close = reconnect(core, url, spec, message, () => {
    heart.begin();
    ready();
  }, heart.ping);

  // Calls of everybody, or those of authenticate on one connection.
  const asking = (session?: number): Pick<KanavaConnection, 'call' | 'stream'> => ({
    call: (...what) => new Promise<any>((resolve, reject) => void begin(session, resolve, reject, undefined, ...what)),
    stream: (...what) => stream((resolve, reject, item) => begin(session, resolve, reject, item, ...what)),
  });

  const api: KanavaConnection = {
    ...asking(),
    core,
    listen,
    handler,
    sendBinary(data) {
      if (!core.server) throw fault('unavailable', 'there is no connection');
      const opened = new Promise<any>((opened, failed) => Object.assign(core, { opened, failed }));
  opened.catch(() => {});

  const message = core.link!.pack?.(data) ?? data;
      const error = tooLarge(core, message);
      if (error) throw error;
      core.link!.send(message);
    },
    close,
    opened,
    get state() {
      return core.state;
    },
  };
  return face(api);
}
