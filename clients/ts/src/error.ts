/** What went wrong. Programs may have codes of their own, which begin with "x_". */
export type KanavaErrorCode =
  | 'invalid_argument' | 'unauthenticated' | 'permission_denied' | 'not_found' | 'aborted' | 'already_exists'
  | 'failed_precondition' | 'too_large' | 'resource_exhausted' | 'canceled' | 'internal' | 'unimplemented'
  | 'unavailable' | 'deadline_exceeded' | 'invalid_frame' | 'lost' | `x_${string}`;

/** The only error of a channel: the server's own, or one that the client found. */
export class KanavaError extends Error {
  readonly code: KanavaErrorCode;
  /** The faults of an input, each with its JSON pointer. */
  readonly details: { pointer: string; message: string }[];
  /** After how many milliseconds to try again, if the server said so. */
  readonly retryAfter: number | undefined;
  /** The call was sent and no answer came: it may have run. */
  readonly unknownOutcome: boolean;

  constructor(code: KanavaErrorCode, message: string, more: Partial<Pick<KanavaError, 'details' | 'retryAfter' | 'unknownOutcome' | 'cause'>> = {}) {
    super(message, { cause: more.cause });
    this.name = 'KanavaError';
    this.code = code;
    this.details = more.details ?? [];
    this.retryAfter = more.retryAfter;
    this.unknownOutcome = more.unknownOutcome ?? false;
  }

  /** What of the error goes over the wire. */
  wire(): object {
    return { code: this.code, message: this.message, details: this.details[0] && this.details };
  }
}
