import { connect } from './connection.js';
/** Connects, and gives the connection the face of its channel. */
export function channel(spec, base, opening, options, face) {
  const { authenticate, ...rest } = options;
  return face(connect(spec, base, opening, authenticate ? { ...rest, authenticate: (c) => authenticate(face(c)) } : rest));
}
const asItIs = (value) => value;
export function onTopic(c, name, turn = asItIs) {
  return (key, listener) => {
    const then = listener ?? key;
    return c.listen('t', name, listener && key, (event, meta) => then(turn(event), meta));
  };
}
export function on(c, kind, name, turn = asItIs) {
  return (listener) => c.listen(kind, name, undefined, (value) => listener(turn(value)));
}
export function events(c) {
  return {
    opened: on(c, '', 'opened'),
    state: on(c, '', 'state'),
    lost: on(c, '', 'lost'),
    binary: on(c, '', 'binary'),
    error: on(c, '', 'error'),
    dropped: on(c, '', 'dropped'),
  };
}
