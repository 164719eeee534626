import type { KanavaCore } from './core.js';
import type { KanavaLink, KanavaLinkEvents } from './link.js';

export function webSocket({ options: { headers } }: KanavaCore, url: string, hello: string, events: KanavaLinkEvents, Socket: any): KanavaLink {
  const socket = new Socket(url, ['kanava.v1'], headers && { headers });
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    socket.send(hello);
    events.opened();
  };
  socket.onmessage = ({ data }: any) => events.message(data);
  socket.onclose = ({ code, reason }: any) => events.ended(code, reason);
  socket.onerror = () => {};
  return {
    transport: 'websocket',
    send: (message) => socket.send(message),
    close(code) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    },
  };
}
