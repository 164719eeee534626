/** Where a connection stands, and why the last one ended. */
export interface KanavaState {
  readonly name: 'idle' | 'connecting' | 'greeting' | 'open' | 'leaving' | 'waiting' | 'closed';
  /** The close code, and words for people. */
  readonly code?: number | undefined;
  readonly reason?: string;
  /** When the next try begins, as Date.now() counts. */
  readonly next?: number;
  /** While open: what it travels by. */
  readonly transport?: 'websocket' | 'sse';
  /** While open: the contract that the server has, which may be newer than the client's. */
  readonly contract?: string;
}
