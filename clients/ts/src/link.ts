/** One connection of some transport. */
export interface KanavaLink {
  send(message: string | Uint8Array): void;
  /** Ends it, after which nothing is told of it. */
  close(code: number | undefined): void;
}

/** What a link tells. */
export interface KanavaLinkEvents {
  /** It stands, and the hello is on its way. */
  opened(): void;
  message(message: string | ArrayBuffer): void;
  ended(code: number, reason: string): void;
}
