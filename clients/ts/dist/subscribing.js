import { told } from './error.js';
/** The topics that a client wants (rule P8). They are made again on each connection that is ready. */
function remake(core) {
  const wanted = new Map();
  const { flush } = core;
  let made = 0; // on the connection of this number
  core.flush = () => {
    if (core.ready && made !== core.run) {
      made = core.run;
      const topics = [...wanted].filter(([, { made }]) => made).map(([topic]) => topic);
      const next = () => {
        const topic = topics.shift();
        if (topic === undefined)
          return;
        if (wanted.has(topic))
          askAside(core, 'subscribe', topic, next);
        else
          next();
      };
      for (let atOnce = 0; atOnce < 4; atOnce++)
        next();
    }
    flush();
  };
  return wanted;
}
/** Asks for what nobody waits for: it ends with its connection. */
function askAside(core, action, topic, then) {
  core.request({ do: action, in: { topic } }, ({ err }) => {
    if (err)
      core.emit(':error', told(err));
    then?.();
  });
}
export function subscribe(c, family) {
  const { core } = c;
  const wanted = (core.wanted ??= remake(core));
  return async (key) => {
    const topic = family + ':' + key;
    const mine = wanted.get(topic) ?? { count: 0, made: false };
    wanted.set(topic, mine);
    mine.count++;
    let over = false;
    const end = (tell) => {
      if (over)
        return;
      over = true;
      if (--mine.count)
        return;
      wanted.delete(topic);
      if (tell && core.ready && !core.away)
        askAside(core, 'unsubscribe', topic);
    };
    try {
      await c.call({ do: 'subscribe', in: { topic } });
    }
    catch (error) {
      end(error.unknownOutcome); // the server may have done it
      throw error;
    }
    mine.made = true;
    return () => end(true);
  };
}
