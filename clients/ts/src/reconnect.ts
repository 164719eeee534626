import { isClosed, lostError, type KanavaCore } from './core.js';
import { known } from './error.js';
import type { KanavaSpec } from './options.js';
import type { KanavaState } from './state.js';
import { transports } from './transports.js';

/** The codes after which a client stays away: section 6 of the protocol. */
const stops = (code: number | undefined) => /^(100[023789]|1010|4[01]..|44(?!01|08|09|29)..)$/.test('' + code);

/**
 * Connects to url, and connects again whenever the connection is lost, until close() or a code that says to stop.
 * message takes what comes, and opened what the server says first of itself.
 */
export function reconnect(
  core: KanavaCore, url: string, spec: KanavaSpec,
  message: (data: string | ArrayBuffer) => void, opened: () => void, ping: () => void,
): () => void {
  const { later, options } = core;
  const scope: any = globalThis;
  const { open, goesOn } = transports(core, url);
  let was: string[] = []; // ids of former connections, newest first
  let failures = 0; // tries in a row, for the back-off
  let refused = 0; // 4401 in a row without an `open` between
  let patient = false; // the wait is the server's advice
  let openedAt = Infinity;

  const become = (next: KanavaState) => {
    core.state = next;
    core.emit(':state', next);
  };

  const attempt = () => void (isClosed(core) || dial(Date.now() + 15_000));

  const dial = async (deadline: number) => {
    const mine = ++core.run;
    later('try', () => core.server || lose(1006, 'no answer'), deadline - Date.now());
    become({ name: 'connecting' });
    try {
      let { token } = options;
      if (typeof token === 'function') token = await token();
      if (mine !== core.run) return;
      const hello = JSON.stringify({ hello: { contract: spec.contract, token, was: was[0] && was } });
      core.link = open(hello, {
        opened: () => become({ name: 'greeting' }),
        message,
        ended(code, text, error) {
          if (error) core.blame(error);
          if (stops(code) || !goesOn()) return lose(core.away ? core.away.code : code, core.reason?.message ?? text);
          drop();
          dial(deadline);
        },
      });
    } catch (error) {
      if (mine !== core.run) return;
      core.blame(known(error));
      lose(1006, 'no connection');
    }
  };

  core.kinds['open'] = ({ open }) => {
    if (core.server) return;
    core.server = open;
    was = [open.id, ...was].slice(0, 8);
    openedAt = Date.now();
    refused = 0;
    become({ name: 'open', transport: core.link!.transport, contract: open.contract });
    if (core.server) opened(); // else a listener closed
  };

  core.kinds['away'] = ({ away: { code, in: range } }) => {
    if (!range || stops(code)) return lose(code, core.reason?.message ?? (code === 4426 ? 'the server no longer takes clients as old as this one' : 'closed by the server'));
    core.leaveIn(code, range[0], range[1]);
  };

  core.leaveIn = (code, from, to, why = 'the server asked to come back') => {
    const now = Date.now();
    const at = now + from + Math.random() * (to - from);
    core.away = { code, at, until: now + to, why };
    become({ name: 'leaving', code, next: at });
    core.leave();
  };

  core.leave = () => {
    const { away, running } = core;
    if (!away) return;
    const wait = (running ? away.until : away.at) - Date.now();
    if (wait > 0) later('leave', core.leave, wait);
    else lose(away.code, away.why);
  };

  const drop = (code?: number) => {
    const { link } = core;
    core.run++;
    core.link = core.server = core.away = undefined;
    core.ready = false;
    openedAt = Infinity;
    link?.close(code);
    for (const part of core.drops) part();
  };

  const lose: KanavaCore['lose'] = (core.lose = (code, text, final) => {
    const advice = core.away?.at;
    const now = Date.now();
    if (now - openedAt >= 10_000) failures = 0;
    drop();
    if (isClosed(core)) return; // by who was told of the loss
    if (final || stops(code) || (code === 4401 && ++refused > 1)) return end(code!, text);
    patient = !!advice || core.notBefore > now;
    const next = advice ?? Math.max(now, core.notBefore) + Math.random() * (calm() ? 20_000 : Math.min(20_000, 500 * 2 ** failures++));
    core.reason = undefined;
    later('try', attempt, next - now);
    become({ name: 'waiting', code, reason: text, next });
  });

  const end = (code: number, reason: string) => {
    core.state = { name: 'closed', code, reason };
    drop(1000);
    watch('removeEventListener');
    become(core.state);
    core.failed(lostError(core));
  };

  // Whoever cannot be seen, or has no network, does not hurry.
  const calm = () => scope.document?.hidden || scope.navigator?.onLine === false;

  const wake = () => {
    if (scope.document?.hidden) return;
    if (core.server) ping();
    else if (core.state.name === 'waiting' && !patient && !calm()) attempt();
  };
  const watch = (verb: 'addEventListener' | 'removeEventListener') => {
    for (const event of ['online', 'offline']) scope[verb]?.(event, wake);
    scope.document?.[verb]?.('visibilitychange', wake);
  };

  watch('addEventListener');
  queueMicrotask(attempt);
  return () => void (isClosed(core) || end(1000, 'closed'));
}
