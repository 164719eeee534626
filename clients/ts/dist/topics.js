import { bytes } from './bytes.js';
import { follow } from './topic.js';
/** The topics of a client, and their events. Returns what is told of where a topic stands. */
export function topics(core) {
  const all = new Map();
  let recovers = 0;
  const deliver = (name, { data, b64 }) => {
    const value = b64 === undefined ? data : bytes(b64);
    const colon = (name + ':').indexOf(':');
    // Without a value it is only a position.
    if (value !== undefined)
      core.emit('t:' + name.slice(0, colon), value, { topic: name, key: name.slice(colon + 1) });
  };
  const topic = (name) => {
    let t = all.get(name);
    if (!t) {
      t = follow({
        deliver: (f) => deliver(name, f),
        lost: (from, to) => core.emit(':lost', { topic: name, from, to }),
        ask(from, answer) {
          if (recovers > 3)
            return false;
          recovers++;
          core.request({ recover: name, e: from.e, o: from.o }, (f) => {
            recovers--;
            if (all.get(name) === t)
              answer(f);
            for (const other of all.values())
              other.wake();
          });
          return true;
        },
        later: (then, ms) => core.later(t, then, ms),
      });
      all.set(name, t);
    }
    return t;
  };
  const at = (name, f) => all.get(name)?.frame('at', f);
  Object.assign(core.kinds, {
    sub: (f) => topic(f.sub).frame('sub', f),
    on: (f) => topic(f.on).frame('on', f),
    at: (f) => at(f.at, f),
    unsub(f) {
      all.get(f.unsub)?.drop();
      all.delete(f.unsub);
    },
  });
  core.drops.push(() => {
    recovers = 0;
    for (const t of all.values())
      t.drop();
  });
  return at;
}
