/** The only error of a channel: the server's own, or one that the client found. */
export class KanavaError extends Error {
  code;
  /** The faults of an input, each with its JSON pointer. */
  details;
  /** After how many milliseconds to try again, if the server said so. */
  retryAfter;
  /** The call was sent and no answer came: it may have run. */
  unknownOutcome;
  constructor(code, message, more = {}) {
    super(message, { cause: more.cause });
    this.name = 'KanavaError';
    this.code = code;
    this.details = more.details ?? [];
    this.retryAfter = more.retryAfter;
    this.unknownOutcome = more.unknownOutcome ?? false;
  }
  /** What of the error goes over the wire. */
  wire() {
    return { code: this.code, message: this.message, details: this.details[0] && this.details };
  }
}
