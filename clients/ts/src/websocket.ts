import type { KanavaLink, KanavaLinkEvents } from './link.js';

export function webSocket(Socket: any, url: string, headers: object | undefined, hello: string, events: KanavaLinkEvents): KanavaLink {
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
    send: (message) => socket.send(message),
    close(code) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    },
  };
}
