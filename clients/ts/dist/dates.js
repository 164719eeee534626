export const toDate = (value) => (value == null ? value : new Date(value));
export function inEach(revive) {
  return (list) => list?.map(revive) ?? list;
}
export function inValues(revive) {
  return (map) => {
    for (const key in map)
      map[key] = revive(map[key]);
    return map;
  };
}
/** The members are asked for when they are needed: types may contain themselves. */
export function inMembers(members) {
  return (object) => {
    if (object)
      for (const [name, revive] of Object.entries(members()))
        if (name in object)
          object[name] = revive(object[name]);
    return object;
  };
}
export function inVariants(property, variants) {
  return (object) => {
    const all = variants();
    return object && Object.hasOwn(all, object[property]) ? all[object[property]](object) : object;
  };
}
export async function* inStream(stream, revive) {
  for await (const item of stream)
    yield revive(item);
}
export function heard(revive, handler) {
  return (value, ...more) => handler(revive(value), ...more);
}
