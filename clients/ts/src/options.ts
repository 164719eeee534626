import type { KanavaConnection } from './connection.js';

export interface KanavaOptions<Chat = KanavaConnection> {
  /** Signs in; runs on each connection before other calls are sent, and again before the session ends. */
  authenticate?: ((chat: Chat) => unknown) | undefined;
  /** Sent with the first frame of each connection. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Milliseconds a call may take. Default 10000. */
  timeout?: number | undefined;
  /** How many calls wait while there is no connection. Default 64. */
  queue?: number | undefined;
  /** The only transport to use. Default: a WebSocket, and server-sent events where something on the way lets no WebSocket through. */
  transport?: 'websocket' | 'sse' | undefined;
  /** For platforms without one of their own, such as Node 20: without it they use server-sent events. */
  WebSocket?: (new (url: string, protocols: string[], options?: any) => any) | undefined;
  /** Request headers: of server-sent events, and for a WebSocket class that takes them (ws, React Native). */
  headers?: Record<string, string> | undefined;
}

export interface KanavaCallOptions {
  /** Gives the call up: it is cancelled at the server and fails with `canceled`. */
  signal?: AbortSignal | undefined;
  /** Milliseconds until the call fails with `deadline_exceeded`; Infinity for none. Default: that of the connection; a stream only has to start in it. */
  timeout?: number | undefined;
  /** Makes the call idempotent, where the server can: it is sent again after a lost connection. Not for streams. */
  key?: string | undefined;
}

/** What the generator knows of a channel. */
export interface KanavaSpec {
  path: string;
  query?: string[]; // members of the opening data that go into the query
  contract?: string;
}
