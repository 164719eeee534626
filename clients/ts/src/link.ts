import type { KanavaError } from './error.js';

/** One connection of some transport. */
export interface KanavaLink {
  readonly transport: 'websocket' | 'sse';
  send(message: string | Uint8Array): void;
  /** Bytes as they travel, where that is not as they are. */
  pack?(bytes: Uint8Array): string;
  /** Ends it, after which nothing is told of it. */
  close(code: number | undefined): void;
}

/** What a link tells. */
export interface KanavaLinkEvents {
  /** It stands, and the hello is on its way. */
  opened(): void;
  /** An empty message is a sign of life. */
  message(message: string | ArrayBuffer): void;
  /** It has ended; the error is what the server answered instead of opening it. */
  ended(code: number, reason: string, error?: KanavaError): void;
}
