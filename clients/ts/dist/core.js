import { fault } from './error.js';
export const isClosed = (core) => core.state.name === 'closed';
/** The error of what cannot happen any more, or not on this connection. */
export const lostError = (core, unknownOutcome = false) => fault('unavailable', 'the connection ' + (isClosed(core) ? 'is closed: ' + core.state.reason : 'was lost'), unknownOutcome, core.reason);
export const tooLarge = ({ server }, message) => message.length * 3 > server?.max && (typeof message === 'string' ? new TextEncoder().encode(message) : message).length > server.max &&
  fault('too_large', 'the message is larger than the server takes');
