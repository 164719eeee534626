import type { KanavaCore } from './core.js';

/** Finds out whether the server is still there. at is told where topics stand. */
export function heartbeat(core: KanavaCore, at: (topic: string, position: any) => void) {
  let due = Infinity; // when silence means that the connection is lost
  let woken = false;

  /** Something came. */
  const alive = () => {
    woken = false;
    due = Date.now() + (core.server?.ping || Infinity) + 10_000;
  };

  // Timers that are late stood still: the machine slept, and what came meanwhile is read first.
  const check = () => {
    const over = Date.now() - due;
    if (over >= 0) {
      if (woken || over < 1000) return core.lose(4408, 'the server is silent');
      woken = true;
      due = Date.now() + 2000;
    }
    if (due < Infinity) core.later('life', check, due - Date.now());
  };

  const ping = () => {
    core.request({ ping: true }, ({ out }) => {
      for (const name in out?.at) at(name, out.at[name]);
    });
    due = Math.min(due, Date.now() + 10_000);
    check();
  };

  const keep = () => {
    if (!core.server.keep) return;
    core.later('keep', () => {
      keep();
      ping();
    }, core.server.keep);
  };

  core.drops.push(() => {
    due = Infinity;
    woken = false;
  });

  return {
    alive,
    ping,
    begin() {
      alive();
      check();
      keep();
    },
  };
}
