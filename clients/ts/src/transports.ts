import type { KanavaCore } from './core.js';
import type { KanavaLink, KanavaLinkEvents } from './link.js';
import { serverSentEvents } from './sse.js';
import type { KanavaState } from './state.js';
import { webSocket } from './websocket.js';

/**
 * Chooses what a connection travels by: a WebSocket, or server-sent events where no WebSocket comes through
 * (section 5 of the protocol).
 */
export function transports(core: KanavaCore, url: string) {
  const { later, options: { transport, headers, WebSocket } } = core;
  const scope: any = globalThis;
  const Socket = transport !== 'sse' && (WebSocket ?? scope.WebSocket);
  // The fetch of React Native brings no streams.
  const streams = transport !== 'websocket' && scope.Response && 'body' in scope.Response.prototype;
  if (!Socket && !streams) throw new TypeError('this platform has no WebSocket: pass one in the options');
  let by: 'websocket' | 'sse';
  let second = false; // this try has begun with the other transport
  let stood = ''; // how far it has come
  let proven = false; // a WebSocket has opened once
  let failed = 0; // tries in a row in which nothing has opened
  let until = 0; // tries begin with server-sent events
  let probing: any; // a WebSocket that is to show whether there can be one

  // Who has had a WebSocket thinks first that the server is away.
  const mayGoOn = () => Socket && streams && !second && (by === 'sse' || !proven || failed > 0);

  const endProbe = () => {
    scope.removeEventListener?.('online', probe);
    if (probing) probing.onclose = null;
    probing?.close();
    probing = undefined;
  };
  const probeLater = () => {
    endProbe();
    scope.addEventListener?.('online', probe);
    later('probe', probe, 300_000 * (1 + Math.random()));
  };
  /** Looks whether a WebSocket opens and carries something both ways; the server runs nothing for it. If so, the next connection is one. */
  const probe = () => {
    endProbe();
    later('probe', probeLater, 5000);
    const socket = (probing = new Socket(url, ['kanava.v1'], headers && { headers }));
    socket.onopen = () => socket.close(1000);
    socket.onerror = () => {};
    socket.onclose = ({ wasClean }: any) => {
      if (!wasClean || core.away) return probeLater();
      by = 'websocket';
      core.leaveIn(undefined, 0, 5000, 'a WebSocket opens again');
    };
  };
  core.drops.push(endProbe);

  core.listen(':state', undefined, ({ name, reason }: KanavaState) => {
    if (name === 'waiting') {
      // A WebSocket that stood, and brought nothing, is as one that did not stand.
      if (stood === 'open' ? by === 'sse' : by === 'websocket' && stood && reason === 'no answer') until = Date.now() + 600_000;
      if (stood !== 'open') failed++;
      second = false;
      stood = '';
    }
    if (name === 'open') {
      failed = until = 0;
      if (by === 'websocket') proven = true;
      else if (Socket) probeLater();
    }
    if (name === 'greeting' || name === 'open') stood = name;
  });

  return {
    open(hello: string, events: KanavaLinkEvents): KanavaLink {
      if (!second) by = !Socket || (streams && Date.now() < until) ? 'sse' : 'websocket';
      if (mayGoOn()) later('turn', () => stood || events.ended(1006, 'no answer'), 5000);
      return by === 'sse' ? serverSentEvents(core, url, hello, events) : webSocket(core, url, hello, events, Socket);
    },
    /** Reports whether the try goes on with the other transport, where this one has not opened. */
    goesOn(): boolean {
      if (core.server || core.away || core.reason || !mayGoOn()) return false;
      second = true;
      by = by === 'sse' ? 'websocket' : 'sse';
      return true;
    },
  };
}
