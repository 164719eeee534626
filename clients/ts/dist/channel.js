const asItIs = (value) => value;
export function onTopic(c, name, turn = asItIs) {
  return (key, listener) => {
    const then = listener ?? key;
    return c.listen('t:' + name, listener && key, (event, meta) => then(turn(event), meta));
  };
}
export function on(c, event, turn = asItIs) {
  return (listener) => c.listen(event, undefined, (value) => listener(turn(value)));
}
export function events(c) {
  const names = ['opened', 'state', 'lost', 'binary', 'error', 'dropped'];
  return Object.fromEntries(names.map((name) => [name, on(c, ':' + name)]));
}
