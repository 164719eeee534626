import type { KanavaConnection } from './connection.js';
import type { KanavaCore } from './core.js';
import { told } from './error.js';

/** Subscribes to one key of a topic, on each connection; what it brings ends that. It fails with the server's refusal. */
export type KanavaSubscribe = (key: string) => Promise<() => void>;

interface KanavaWanted {
  count: number; // subscriptions, which are one for the server
  made: boolean; // the server has made it once
}

/** The topics that a client wants (rule P8). They are made again on each connection that is ready. */
function remake(core: KanavaCore): Map<string, KanavaWanted> {
  const wanted = new Map<string, KanavaWanted>();
  const { flush } = core;
  let made = 0; // on the connection of this number
  core.flush = () => {
    if (core.ready && made !== core.run) {
      made = core.run;
      const topics = [...wanted].filter(([, { made }]) => made).map(([topic]) => topic);
      const next = () => {
        const topic = topics.shift();
        if (topic === undefined) return;
        if (wanted.has(topic)) askAside(core, 'subscribe', topic, next);
        else next();
      };
      for (let atOnce = 0; atOnce < 4; atOnce++) next();
    }
    flush();
  };
  return wanted;
}

/** Asks for what nobody waits for: it ends with its connection. */
function askAside(core: KanavaCore, action: string, topic: string, then?: () => void) {
  core.request({ do: action, in: { topic } }, ({ err }) => {
    if (err) core.emit(':error', told(err));
    then?.();
  });
}

export function subscribe(c: KanavaConnection, family: string): KanavaSubscribe {
  const { core } = c;
  const wanted: Map<string, KanavaWanted> = (core.wanted ??= remake(core));
  return async (key) => {
    const topic = family + ':' + key;
    const mine = wanted.get(topic) ?? { count: 0, made: false };
    wanted.set(topic, mine);
    mine.count++;
    let over = false;
    const end = (tell: boolean) => {
      if (over) return;
      over = true;
      if (--mine.count) return;
      wanted.delete(topic);
      if (tell && core.ready && !core.away) askAside(core, 'unsubscribe', topic);
    };
    try {
      await c.call({ do: 'subscribe', in: { topic } });
    } catch (error: any) {
      end(error.unknownOutcome); // the server may have done it
      throw error;
    }
    mine.made = true;
    return () => end(true);
  };
}
