/** What went wrong. Programs may have codes of their own, which begin with "x_". */
export type KanavaErrorCode =
  | 'invalid_argument' | 'unauthenticated' | 'permission_denied' | 'not_found' | 'aborted' | 'already_exists'
  | 'failed_precondition' | 'too_large' | 'resource_exhausted' | 'canceled' | 'internal' | 'unimplemented'
  | 'unavailable' | 'deadline_exceeded' | 'invalid_frame' | 'lost' | `x_${string}`;

/** The only error of a channel: the server's own, or one that the client found. */
export class KanavaError extends Error {
  declare readonly code: KanavaErrorCode;
  /** The faults of an input, each with its JSON pointer. */
  declare readonly details: { pointer: string; message: string }[];
  /** After how many milliseconds to try again, if the server said so. */
  declare readonly retryAfter: number | undefined;
  /** The call was sent and no answer came: it may have run. */
  declare readonly unknownOutcome: boolean;

  constructor(code: KanavaErrorCode, message: string, more: Partial<Pick<KanavaError, 'details' | 'retryAfter' | 'unknownOutcome' | 'cause'>> = {}) {
    super(message, { cause: more.cause });
    const { details = [], retryAfter, unknownOutcome = false } = more;
    Object.assign(this, { name: 'KanavaError', code, details, retryAfter, unknownOutcome });
  }

  /** What of the error goes over the wire. */
  wire(): object {
    return { code: this.code, message: this.message, details: this.details[0] && this.details };
  }
}

export const fault = (code: KanavaErrorCode, message: string, unknownOutcome = false, cause?: unknown) =>
  new KanavaError(code, message, { unknownOutcome, cause });

/** The error that a frame tells. */
export const told = (err: any) => new KanavaError(err.code, err.message, err);

/** What was thrown by code of others. */
export const known = (error: any) =>
  error instanceof KanavaError ? error : fault('unavailable', String(error?.message ?? error), false, error);
