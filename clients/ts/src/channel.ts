import type { KanavaConnection } from './connection.js';
import type { KanavaState } from './state.js';
import type { KanavaError } from './error.js';
import type { KanavaPosition } from './topic.js';

/** Which topic an event is of: "room:general" has the key "general". */
export interface KanavaMeta {
  readonly topic: string;
  readonly key: string;
}

/** Events that the server could not send again: from one place in the topic's history to another. */
export interface KanavaLost {
  readonly topic: string;
  readonly from: KanavaPosition;
  readonly to: KanavaPosition;
}

/** Listens to one key of a topic, or to all; what it returns stops that. */
export interface KanavaOn<Event> {
  (listener: (event: Event, meta: KanavaMeta) => void): () => void;
  (key: string, listener: (event: Event, meta: KanavaMeta) => void): () => void;
}

/** What every channel tells; each function returns one that stops it. */
export interface KanavaEvents<Opened> {
  /** Each time the channel has opened. */
  opened(listener: (value: Opened) => void): () => void;
  state(listener: (state: KanavaState) => void): () => void;
  lost(listener: (lost: KanavaLost) => void): () => void;
  binary(listener: (bytes: Uint8Array) => void): () => void;
  /** Errors that belong to no call. */
  error(listener: (error: KanavaError) => void): () => void;
  /** Calls that did not fit in the queue while there was no connection. */
  dropped(listener: (dropped: { action: string; error: KanavaError }) => void): () => void;
}

/** What every channel has. */
export interface KanavaChannel<Opened> {
  /** The value with which the channel first opened. */
  readonly opened: Promise<Opened>;
  readonly state: KanavaState;
  sendBinary(bytes: Uint8Array): void;
  /** Ends the connection for good; calls that wait fail with `unavailable`. */
  close(): void;
}

const asItIs = (value: any) => value;

export function onTopic(c: KanavaConnection, name: string, turn = asItIs): KanavaOn<any> {
  return (key: any, listener?: any) => {
    const then = listener ?? key;
    return c.listen('t:' + name, listener && key, (event, meta) => then(turn(event), meta));
  };
}

export function on(c: KanavaConnection, event: string, turn = asItIs): (listener: (value: any) => void) => () => void {
  return (listener) => c.listen(event, undefined, (value) => listener(turn(value)));
}

export function events(c: KanavaConnection): KanavaEvents<any> {
  const names = ['opened', 'state', 'lost', 'binary', 'error', 'dropped'];
  return Object.fromEntries(names.map((name) => [name, on(c, ':' + name)])) as any;
}
