import { fault } from './error.js';
const mostMembers = 200;
const mostText = 2 ** 18; // characters of members, and of what is held
const toMember = ({ id, n, data }, turn = (data) => data) => ({ id, connections: n, data: turn(data) });
const without = (list, others) => (list && others ? [...list.values()].filter(({ id }) => !others.has(id)) : []);
/** Follows who is there, by what the server tells (rule D12). */
function places(core) {
  const all = new Map();
  const turns = new Map();
  const tell = (p) => {
    const { topic, key, count, members, now } = p;
    p.now = { topic, key, count, members, joined: without(members, now?.members), left: without(now?.members, members) };
    core.emit('m:' + p.family, p.now, p);
  };
  const merge = (p, join = [], leave = []) => {
    if (!p.members)
      return;
    const members = new Map(p.members);
    for (const id of leave)
      members.delete(id);
    for (const one of join)
      members.set(one.id, toMember(one, turns.get(p.family)));
    p.over = members.size > mostMembers || JSON.stringify([...members.values()]).length > mostText;
    p.members = p.over ? undefined : new Map([...members].sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  /** Applies the differences that follow, and reports whether there were any. */
  const drain = (p) => {
    p.held = p.held.filter(({ v }) => v > p.v);
    const [next] = p.held;
    if (next?.v !== p.v + 1 || !(p.members || p.over))
      return false;
    p.v++;
    p.count = next.count;
    merge(p, next.join, next.leave);
    drain(p);
    return true;
  };
  /** Takes everybody, or the number. */
  const replace = (p, { v, count, all }) => {
    Object.assign(p, { v, count, over: false, members: all && new Map() });
    merge(p, all);
    drain(p);
    tell(p);
  };
  const forget = (p) => {
    p.asking = undefined;
    p.vain = 0;
  };
  /** Asks for everybody, page by page: the version is that of the first. */
  const ask = (p, after, v, members = []) => {
    const asking = (p.asking = {});
    core.request({ presence: p.topic, after }, ({ out, err }) => {
      if (p.asking !== asking)
        return; // it is not needed any more
      if (!Array.isArray(out?.all))
        return askLater(p, err);
      const all = [...members, ...out.all];
      const many = out.count > mostMembers || all.length > mostMembers;
      v ??= out.v;
      if (out.next > (after ?? '') && !many)
        return ask(p, out.next, v, all);
      p.asking = undefined;
      if (v > p.v) {
        p.vain = 0;
        replace(p, { v, count: out.count, all: many ? undefined : all });
        if (p.held[0])
          ask(p);
      }
      else if (p.held[0])
        askLater(p);
    });
  };
  const askLater = (p, err) => {
    const asking = (p.asking = {});
    if (err?.code !== 'resource_exhausted' && ++p.vain > 4)
      forget(p);
    else
      core.later(p, () => p.asking === asking && ask(p), err?.retryAfter ?? 1000);
  };
  const place = (topic) => {
    let p = all.get(topic);
    if (!p) {
      // A connection may be in 128, and those of former connections make room.
      for (const [name, old] of all) {
        if (all.size < 128 || old.v >= 0)
          continue;
        forget(old);
        all.delete(name);
      }
      if (all.size > 127)
        throw fault('resource_exhausted', 'too many presences');
      const colon = (topic + ':').indexOf(':');
      p = { topic, family: topic.slice(0, colon), key: topic.slice(colon + 1), v: -Infinity, count: 0, over: false, held: [], vain: 0 };
      all.set(topic, p);
    }
    return p;
  };
  core.kinds['presence'] = (f) => {
    const p = place(f.presence);
    if (f.v <= p.v)
      return; // overtaken
    if (f.all || !(f.join || f.leave)) {
      forget(p);
      replace(p, f);
    }
    else {
      p.held = [...p.held, f].sort((a, b) => a.v - b.v);
      while (p.held.length > 64 || JSON.stringify(p.held).length > mostText)
        p.held.shift();
      if (drain(p))
        tell(p);
    }
    if (p.held[0] && !p.asking)
      ask(p);
  };
  const { unsub } = core.kinds;
  core.kinds['unsub'] = (f) => {
    unsub(f);
    const p = all.get(f.unsub);
    if (!p)
      return;
    all.delete(f.unsub);
    forget(p);
    p.count = 0;
    p.members = new Map();
    if (p.now)
      tell(p);
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
export function presence(c, family, turn) {
  const { all, turns } = (c.core.places ??= places(c.core));
  if (turn)
    turns.set(family, turn);
  const listen = (key, listener) => {
    const then = listener ?? key;
    const off = c.listen('m:' + family, listener && key, then);
    let over = false;
    for (const p of all.values()) {
      const { now } = p;
      if (!now || p.family !== family || (listener && p.key !== key))
        continue;
      // Unless it has been told what has changed since.
      queueMicrotask(() => over || p.now !== now || then({ ...now, joined: [], left: [] }));
    }
    return () => {
      over = true;
      off();
    };
  };
  return Object.assign(listen, {
    async *members(key, options) {
      for (let after;;) {
        const { all, next } = await c.call({ presence: family + ':' + key, after }, options);
        for (const one of all)
          yield toMember(one, turn);
        if (next === undefined)
          return;
        if (!(next > (after ?? '')))
          throw fault('invalid_frame', 'the list of members goes in circles');
        after = next;
      }
    },
  });
}
