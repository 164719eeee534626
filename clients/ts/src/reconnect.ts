import { gone, isClosed, type KanavaCore } from './core.js';
import { known } from './error.js';
import type { KanavaSpec } from './options.js';
import type { KanavaState } from './state.js';
import { webSocket } from './websocket.js';

/** The codes after which a client stays away. */
function stops(code: number): boolean {
  return code >= 4400 && code < 4500 ? ![4401, 4408, 4409, 4429].includes(code)
    : [1000, 1002, 1003, 1007, 1008, 1009, 1010].includes(code) || (code >= 4000 && code < 4200);
}

function spread(from: number, to: number): number {
  return from + Math.random() * (to - from);
}

/**
 * Connects to url, and connects again whenever the connection is lost, until close() or a code that says to stop.
 * message takes what comes, and opened what the server says first of itself.
 */
export function reconnect(
  core: KanavaCore, url: string, spec: KanavaSpec,
  message: (data: string | ArrayBuffer) => void, opened: () => void, ping: () => void, rejectOpened: (error: unknown) => void,
): () => void {
  const { later, options } = core;
  const scope: any = globalThis;
  const Socket = options.WebSocket ?? scope.WebSocket;
  if (!Socket) throw new TypeError('this platform has no WebSocket: pass one in the options');
  let was: string[] = []; // ids of former connections, newest first
  let failures = 0; // tries in a row, for the back-off
  let refused = 0; // 4401 in a row without an `open` between
  let patient = false; // the wait is the server's advice
  let openedAt = Infinity;

  const become = (next: KanavaState) => {
    core.state = next;
    core.emit(':state', next);
  };

  const attempt = async () => {
    if (isClosed(core)) return;
    const mine = ++core.run;
    later('try', () => lose(1006, 'no answer'), 15_000);
    become({ name: 'connecting' });
    try {
      let { token } = options;
      if (typeof token === 'function') token = await token();
      if (mine !== core.run) return;
      const hello = JSON.stringify({ hello: { contract: spec.contract, token, was: was[0] && was } });
      core.link = webSocket(Socket, url, options.headers, hello, {
        opened: () => become({ name: 'greeting' }),
        message,
        ended: (code, reason) => lose(core.away?.code ?? code, core.reason?.message ?? reason),
      });
    } catch (error) {
      if (mine !== core.run) return;
      core.emit(':error', known(error));
      lose(1006, 'no connection');
    }
  };

  core.kinds['open'] = ({ open }) => {
    if (core.server) return;
    core.server = open;
    was = [open.id, ...was].slice(0, 8);
    openedAt = Date.now();
    refused = 0;
    core.cancel('try');
    become({ name: 'open', contract: open.contract });
    if (core.server) opened(); // else a listener closed
  };

  core.kinds['away'] = ({ away: { code, in: range } }) => {
    if (!range || stops(code)) return lose(code, core.reason?.message ?? (code === 4426 ? 'the server no longer takes clients as old as this one' : 'closed by the server'));
    const now = Date.now();
    const at = now + spread(range[0], range[1]);
    core.away = { code, at, until: now + range[1] };
    become({ name: 'leaving', code, next: at });
    core.leave();
  };

  core.leave = () => {
    const { away, running } = core;
    if (!away) return;
    const wait = (running ? away.until : away.at) - Date.now();
    if (wait > 0) later('leave', core.leave, wait);
    else lose(away.code, 'the server asked to come back');
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
    if (final || stops(code) || (code === 4401 && ++refused > 1)) return end(code, text);
    patient = !!advice || core.notBefore > now;
    const next = advice ?? Math.max(now, core.notBefore) + spread(0, calm() ? 20_000 : Math.min(20_000, 500 * 2 ** failures++));
    core.reason = undefined;
    later('try', attempt, next - now);
    become({ name: 'waiting', code, reason: text, next });
  });

  const end = (code: number, reason: string) => {
    core.state = { name: 'closed', code, reason };
    drop(1000);
    watch('removeEventListener');
    become(core.state);
    rejectOpened(gone(core));
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
