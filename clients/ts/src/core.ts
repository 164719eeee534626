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
  away: { code: number; at: number; until: number } | undefined;
  ready: boolean; // authenticated
  running: number; // calls without their last frame

  emit(event: string, value: any, meta?: any): void;
  /** Runs then after so many milliseconds, if the connection lasts; a name has one timer. */
  later(name: unknown, then: () => void, ms: number): void;
  cancel(name: unknown): void;
  send(frame: object): void;
  /** Sends a frame that has an answer, which never comes if the connection is lost. */
  request(frame: object, answer: (frame: any) => void): void;
  /** Takes an answer. */
  answer(frame: any): void;
  /** The connection is ready for calls. */
  flush(): void;
  /** Ends a connection that the server wants to end, if it is time and no call runs. */
  leave(): void;
  /** Ends the connection, and begins to wait for the next one, if there is to be one. */
  lose(code: number, text: string, final?: boolean): void;
}

/** The error of what cannot happen any more. */
export const gone = ({ state, reason }: KanavaCore, unknownOutcome = false) =>
  fault('unavailable', 'the connection is closed: ' + state.reason, unknownOutcome, reason);

export const isClosed = (core: KanavaCore) => core.state.name === 'closed';

export const lostError = (core: KanavaCore, unknownOutcome: boolean) =>
  fault('unavailable', 'the connection was lost', unknownOutcome, core.reason);

export const tooLarge = ({ server }: KanavaCore, message: string | Uint8Array) =>
  message.length * 3 > server?.max && (typeof message === 'string' ? new TextEncoder().encode(message) : message).length > server.max &&
  fault('too_large', 'the message is larger than the server takes');
