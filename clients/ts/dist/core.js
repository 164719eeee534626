import { fault } from './error.js';
/** The error of what cannot happen any more. */
export const gone = ({ state, reason }, unknownOutcome = false) => fault('unavailable', 'the connection is closed: ' + state.reason, unknownOutcome, reason);
export const isClosed = (core) => core.state.name === 'closed';
export const lostError = (core, unknownOutcome) => fault('unavailable', 'the connection was lost', unknownOutcome, core.reason);
export const tooLarge = ({ server }, message) => message.length * 3 > server?.max && (typeof message === 'string' ? new TextEncoder().encode(message) : message).length > server.max &&
  fault('too_large', 'the message is larger than the server takes');
