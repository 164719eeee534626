import type { KanavaCallOptions } from './options.js';
import type { KanavaConnection } from './connection.js';
import type { KanavaCore } from './core.js';
import { fault } from './error.js';

/** One who is there. */
export interface KanavaMember<Data> {
  /** The user, or the connection of one who has not signed in. */
  readonly id: string;
  /** On how many connections. */
  readonly connections: number;
  readonly data: Data;
}

/** Who is there, for one key of a topic. */
export interface KanavaPresence<Data> {
  readonly topic: string;
  readonly key: string;
  /** How many, also of those that this client is not to see. */
  readonly count: number;
  /** By id, and in order of it; undefined while there are so many that only the number is told. */
  readonly members: ReadonlyMap<string, KanavaMember<Data>> | undefined;
  /** Who is new, and who is gone, since it was told last. */
  readonly joined: readonly KanavaMember<Data>[];
  readonly left: readonly KanavaMember<Data>[];
}

/** Listens to who is there, at one key of a topic or at all, and is told the present state first; what it returns stops that. */
export interface KanavaPresences<Data> {
  (listener: (who: KanavaPresence<Data>) => void): () => void;
  (key: string, listener: (who: KanavaPresence<Data>) => void): () => void;
  /** Goes through everybody in order of id, page by page, however many they are. */
  members(key: string, options?: KanavaCallOptions): AsyncIterableIterator<KanavaMember<Data>>;
}

type KanavaTurn = (data: any) => any;
type KanavaMembers = ReadonlyMap<string, KanavaMember<any>>;

interface KanavaPlace {
  topic: string;
  family: string;
  key: string;
  now?: KanavaPresence<any>; // what was told last
  v: number; // of this connection
  count: number;
  members?: KanavaMembers | undefined;
  over: boolean; // there are more than are kept: differences only count
  held: any[]; // differences that do not follow yet, in order of v
  asking?: object | undefined; // the request that counts, or that is to be repeated
  vain: number; // refusals in a row
}

/** What a client knows of who is there. */
interface KanavaPlaces {
  all: Map<string, KanavaPlace>; // by topic
  turns: Map<string, KanavaTurn>; // by family: what makes the data of members
}

const mostMembers = 200;
const mostText = 2 ** 18; // characters of members, and of what is held

const toMember = ({ id, n, data }: any, turn: KanavaTurn = (data) => data): KanavaMember<any> => ({ id, connections: n, data: turn(data) });

const without = (list?: KanavaMembers, others?: KanavaMembers) => (list && others ? [...list.values()].filter(({ id }) => !others.has(id)) : []);

/** Follows who is there, by what the server tells (rule D12). */
function places(core: KanavaCore): KanavaPlaces {
  const all = new Map<string, KanavaPlace>();
  const turns = new Map<string, KanavaTurn>();

  const tell = (p: KanavaPlace) => {
    const { topic, key, count, members, now } = p;
    p.now = { topic, key, count, members, joined: without(members, now?.members), left: without(now?.members, members) };
    core.emit('m:' + p.family, p.now, p);
  };

  const merge = (p: KanavaPlace, join: any[] = [], leave: string[] = []) => {
    if (!p.members) return;
    const members = new Map(p.members);
    for (const id of leave) members.delete(id);
    for (const one of join) members.set(one.id, toMember(one, turns.get(p.family)));
    p.over = members.size > mostMembers || JSON.stringify([...members.values()]).length > mostText;
    p.members = p.over ? undefined : new Map([...members].sort(([a], [b]) => (a < b ? -1 : 1)));
  };

  /** Applies the differences that follow, and reports whether there were any. */
  const drain = (p: KanavaPlace) => {
    p.held = p.held.filter(({ v }) => v > p.v);
    const [next] = p.held;
    if (next?.v !== p.v + 1 || !(p.members || p.over)) return false;
    p.v++;
    p.count = next.count;
    merge(p, next.join, next.leave);
    drain(p);
    return true;
  };

  /** Takes everybody, or the number. */
  const replace = (p: KanavaPlace, { v, count, all }: any) => {
    Object.assign(p, { v, count, over: false, members: all && new Map() });
    merge(p, all);
    drain(p);
    tell(p);
  };

  const forget = (p: KanavaPlace) => {
    p.asking = undefined;
    p.vain = 0;
  };

  /** Asks for everybody, page by page: the version is that of the first. */
  const ask = (p: KanavaPlace, after?: string, v?: number, members: any[] = []) => {
    const asking = (p.asking = {});
    core.request({ presence: p.topic, after }, ({ out, err }) => {
      if (p.asking !== asking) return; // it is not needed any more
      if (!Array.isArray(out?.all)) return askLater(p, err);
      const all = [...members, ...out.all];
      const many = out.count > mostMembers || all.length > mostMembers;
      v ??= out.v as number;
      if (out.next > (after ?? '') && !many) return ask(p, out.next, v, all);
      p.asking = undefined;
      if (v > p.v) {
        p.vain = 0;
        replace(p, { v, count: out.count, all: many ? undefined : all });
        if (p.held[0]) ask(p);
      } else if (p.held[0]) askLater(p);
    });
  };
  const askLater = (p: KanavaPlace, err?: any) => {
    const asking = (p.asking = {});
    if (err?.code !== 'resource_exhausted' && ++p.vain > 4) forget(p);
    else core.later(p, () => p.asking === asking && ask(p), err?.retryAfter ?? 1000);
  };

  const place = (topic: string): KanavaPlace => {
    let p = all.get(topic);
    if (!p) {
      // A connection may be in 128, and those of former connections make room.
      for (const [name, old] of all) {
        if (all.size < 128 || old.v >= 0) continue;
        forget(old);
        all.delete(name);
      }
      if (all.size > 127) throw fault('resource_exhausted', 'too many presences');
      const colon = (topic + ':').indexOf(':');
      p = { topic, family: topic.slice(0, colon), key: topic.slice(colon + 1), v: -Infinity, count: 0, over: false, held: [], vain: 0 };
      all.set(topic, p);
    }
    return p;
  };

  core.kinds['presence'] = (f) => {
    const p = place(f.presence);
    if (f.v <= p.v) return; // overtaken
    if (f.all || !(f.join || f.leave)) {
      forget(p);
      replace(p, f);
    } else {
      p.held = [...p.held, f].sort((a, b) => a.v - b.v);
      while (p.held.length > 64 || JSON.stringify(p.held).length > mostText) p.held.shift();
      if (drain(p)) tell(p);
    }
    if (p.held[0] && !p.asking) ask(p);
  };

  const { unsub } = core.kinds;
  core.kinds['unsub'] = (f) => {
    unsub!(f);
    const p = all.get(f.unsub);
    if (!p) return;
    all.delete(f.unsub);
    forget(p);
    p.count = 0;
    p.members = new Map();
    if (p.now) tell(p);
  };

  core.drops.push(() => {
    for (const p of all.values()) {
      forget(p);
      p.v = -Infinity;
      p.held = [];
    }
  });
  return { all, turns };
}

export function presence(c: KanavaConnection, family: string, turn?: KanavaTurn): KanavaPresences<any> {
  const { all, turns }: KanavaPlaces = (c.core.places ??= places(c.core));
  if (turn) turns.set(family, turn);
  const listen = (key: any, listener?: any) => {
    const then = listener ?? key;
    const off = c.listen('m:' + family, listener && key, then);
    let over = false;
    for (const p of all.values()) {
      const { now } = p;
      if (!now || p.family !== family || (listener && p.key !== key)) continue;
      // Unless it has been told what has changed since.
      queueMicrotask(() => over || p.now !== now || then({ ...now, joined: [], left: [] }));
    }
    return () => {
      over = true;
      off();
    };
  };
  return Object.assign(listen, {
    async *members(key: string, options?: KanavaCallOptions) {
      for (let after: string | undefined; ; ) {
        const { all, next } = await c.call({ presence: family + ':' + key, after }, options);
        for (const one of all) yield toMember(one, turn);
        if (next === undefined) return;
        if (!(next > (after ?? ''))) throw fault('invalid_frame', 'the list of members goes in circles');
        after = next;
      }
    },
  });
}
