/** The only error of a channel: the server's own, or one that the client found. */
export class KanavaError extends Error {
  constructor(code, message, more = {}) {
    super(message, { cause: more.cause });
    const { details = [], retryAfter, unknownOutcome = false } = more;
    Object.assign(this, { name: 'KanavaError', code, details, retryAfter, unknownOutcome });
  }
  /** What of the error goes over the wire. */
  wire() {
    return { code: this.code, message: this.message, details: this.details[0] && this.details };
  }
}
export const fault = (code, message, unknownOutcome = false, cause) => new KanavaError(code, message, { unknownOutcome, cause });
/** The error that a frame tells. */
export const told = (err) => new KanavaError(err.code, err.message, err);
/** What was thrown by code of others. */
export const known = (error) => error instanceof KanavaError ? error : fault('unavailable', String(error?.message ?? error), false, error);
