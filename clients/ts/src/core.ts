import { KanavaError, fault } from './error.js';
import type { KanavaLink } from './link.js';
import type { KanavaOptions } from './options.js';
import type { KanavaState } from './state.js';

/** What the parts of a client share. Each part is a function of its own file, which is given this. */
export interface KanavaCore {
  readonly options: KanavaOptions<any>;
  /** What is done with each kind of frame. */
  readonly kinds: Record<string, (frame: any) => void>;
  /** What the parts do when a connection is gone: nothing of it is ever answered on a new one. */
  readonly drops: (() => void)[];
  state: KanavaState;
  reason: KanavaError | undefined; // the last error that belongs to no call
  notBefore: number; // the server's retryAfter

  // Of one connection, and gone with it:
  run: number; // its number
  link: KanavaLink | undefined;
  server: any; // what `open` says
  away: { code: number | undefined; at: number; until: number; why: string } | undefined;
  ready: boolean; // authenticated
  running: number; // calls without their last frame

  listen(event: string, key: string | undefined, fn: (value: any, meta: any) => void): () => void;
  /** How the promise of the first opening ends. */
  opened(value: any): void;
  failed(error: KanavaError): void;

  /** Of parts that not every client has. */
  places?: any;
  wanted?: any;

  emit(event: string, value: any, meta?: any): void;
  /** Runs then after so many milliseconds, if the connection lasts; a name has one timer. */
  later(name: unknown, then: () => void, ms: number): void;
  send(frame: object): void;
  /** Sends a frame that has an answer, which never comes if the connection is lost. */
  request(frame: object, answer: (frame: any) => void): void;
  /** Takes an answer. */
  answer(frame: any): void;
  /** The connection is ready for calls. */
  flush(): void;
  /** Tells of an error that belongs to no call. */
  blame(error: KanavaError): void;
  /** Ends the connection at a random time in this range of milliseconds, or when the last call has ended, and then begins the next. */
  leaveIn(code: number | undefined, from: number, to: number, why?: string): void;
  /** Ends a connection that the server wants to end, if it is time and no call runs. */
  leave(): void;
  /** Ends the connection, and begins to wait for the next one, if there is to be one. */
  lose(code: number | undefined, text: string, final?: boolean): void;
}

export const isClosed = (core: KanavaCore) => core.state.name === 'closed';

/** The error of what cannot happen any more, or not on this connection. */
export const lostError = (core: KanavaCore, unknownOutcome = false) =>
  fault('unavailable', 'the connection ' + (isClosed(core) ? 'is closed: ' + core.state.reason : 'was lost'), unknownOutcome, core.reason);

export const tooLarge = ({ server }: KanavaCore, message: string | Uint8Array) =>
  message.length * 3 > server?.max && (typeof message === 'string' ? new TextEncoder().encode(message) : message).length > server.max &&
  fault('too_large', 'the message is larger than the server takes');
