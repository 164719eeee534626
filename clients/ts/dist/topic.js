/**
 * Follows one topic: delivers each event once and in order, asks the server for what it missed, or
 * says that events are lost (rules D5 to D7 of the protocol).
 */
export function follow(link) {
  let live = false; // `sub` came on this connection
  let kind; // the delivery class
  let pos; // delivered up to here
  let tip; // the topic is known to stand here
  let held = []; // events that do not continue pos yet
  let again = false; // ask again, whatever the tip
  let busy = false; // a recover is under way, or waits to be repeated
  let vain = 0; // answers in a row that brought nothing
  let left = Infinity; // when the connection was lost
  const newest = new Map(); // of each key of a Latest topic
  const before = (f) => f.p ?? f.o - 1;
  const raise = (f) => {
    if (tip && pos && tip.e !== pos.e && f.e === pos.e)
      return;
    if (!tip || f.e !== tip.e || f.o > tip.o)
      tip = { e: f.e, o: f.o };
  };
  const take = (f) => {
    if (f.o <= pos.o)
      return;
    pos = { e: pos.e, o: f.o };
    link.deliver(f);
  };
  const move = ({ e, o }) => {
    const from = pos;
    pos = { e, o };
    link.lost(from, pos);
  };
  const drain = () => {
    const ready = (f) => f.e === pos.e && before(f) <= pos.o;
    for (let i; (i = held.findIndex(ready)) >= 0;)
      take(held.splice(i, 1)[0]);
  };
  const settle = () => {
    if (!live)
      return;
    if (kind === 'volatile' || kind === 'latest') {
      for (const f of held.splice(0))
        unchained(f);
      return;
    }
    drain();
    if (tip && tip.e === pos.e && tip.o <= pos.o) {
      tip = undefined;
      vain = 0; // nothing is missing: the next gap is another one
    }
    if (busy || !(tip || again))
      return;
    if (kind !== 'recoverable' || vain > 4) {
      again = false;
      vain = 0;
      if (!tip)
        return;
      // What is in hand need not be lost: the jump ends before the first held event.
      const { e, o } = tip;
      move({ e, o: Math.min(o, ...held.filter((f) => f.e === e).map(before)) });
      forgetOthers();
      settle();
    }
    else {
      const goal = tip;
      if (link.ask(pos, (f) => answer(f, goal))) {
        busy = true;
        again = false;
        tip = undefined;
      }
    }
  };
  const unchained = (f) => {
    if (kind === 'latest') {
      if (f.e !== pos.e) {
        newest.clear();
        pos = f;
      }
      if (f.o <= newest.get(f.k))
        return;
      newest.delete(f.k);
      newest.set(f.k, f.o);
      if (newest.size > 1024)
        newest.delete(newest.keys().next().value);
    }
    link.deliver(f);
  };
  const forgetOthers = () => {
    held = held.filter((f) => f.e === pos.e);
  };
  const answer = ({ out, err }, goal) => {
    const from = pos;
    busy = false;
    if (!out) {
      if (goal)
        raise(goal);
      again = true;
      if (err?.code === 'unimplemented')
        vain = 5;
      else {
        busy = true;
        if (err?.code === 'resource_exhausted')
          vain--;
        link.later(() => {
          busy = false;
          settle();
        }, err?.retryAfter ?? 1000);
      }
    }
    else if (out.ok && out.e === from.e) {
      out.events?.forEach(take);
      if (out.o > pos.o)
        pos = { e: out.e, o: out.o };
      again = out.more;
    }
    else if (out.e !== from.e || out.o > from.o) {
      move(out);
    }
    forgetOthers();
    vain = pos === from ? vain + 1 : 0;
    settle();
  };
  return {
    frame(name, f) {
      if (name === 'on') {
        if (f.o === undefined)
          return link.deliver(f); // no positions: nothing to put in order
        held.push({ ...f, at: Date.now() });
        if (held.length > 64)
          held.shift();
        if (live && (f.e !== pos.e || before(f) > pos.o))
          raise(f);
      }
      else {
        if (name === 'sub') {
          live = true;
          kind = f.class;
          held = held.filter((h) => Date.now() - h.at < 5_000);
          // After ten minutes nobody keeps the history: what was missed is lost.
          vain = Date.now() - left > 600_000 ? 5 : 0;
          left = Infinity;
        }
        if (!live)
          return;
        if (pos)
          raise(f);
        else
          pos = { e: f.e, o: f.o };
      }
      settle();
    },
    wake: settle,
    drop() {
      if (live)
        left = Date.now();
      live = busy = again = false;
      tip = undefined;
      held = [];
    },
  };
}
