/** Turns the times inside of a value that came as JSON into dates. */
type KanavaRevive = (value: any) => any;

export const toDate: KanavaRevive = (value) => (value == null ? value : new Date(value));

export function inEach(revive: KanavaRevive): KanavaRevive {
  return (list) => list?.map(revive) ?? list;
}

export function inValues(revive: KanavaRevive): KanavaRevive {
  return (map) => {
    for (const key in map) map[key] = revive(map[key]);
    return map;
  };
}

/** The members are asked for when they are needed: types may contain themselves. */
export function inMembers(members: () => Record<string, KanavaRevive>): KanavaRevive {
  return (object) => {
    if (object) for (const [name, revive] of Object.entries(members())) if (name in object) object[name] = revive(object[name]);
    return object;
  };
}

export function inVariants(property: string, variants: () => Record<string, KanavaRevive>): KanavaRevive {
  return (object) => {
    const all = variants();
    return object && Object.hasOwn(all, object[property]) ? all[object[property]]!(object) : object;
  };
}

export async function* inStream(stream: AsyncIterableIterator<any>, revive: KanavaRevive): AsyncIterableIterator<any> {
  for await (const item of stream) yield revive(item);
}

export function heard(revive: KanavaRevive, handler: any): any {
  return (value: any, ...more: any[]) => handler(revive(value), ...more);
}
