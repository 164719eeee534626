// In place of src/transports.ts: a client that knows WebSockets only.
import type { KanavaCore } from '../../src/core.js';
import type { KanavaLinkEvents } from '../../src/link.js';
import { webSocket } from '../../src/websocket.js';

export function transports(core: KanavaCore, url: string) {
  const Socket = core.options.WebSocket ?? (globalThis as any).WebSocket;
  if (!Socket) throw new TypeError('this platform has no WebSocket: pass one in the options');
  return { open: (hello: string, events: KanavaLinkEvents) => webSocket(core, url, hello, events, Socket), goesOn: () => false };
}
