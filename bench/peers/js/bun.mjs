// The server of the comparison on Bun: its own server, and its own topics.
import { address, handle } from './app.mjs';

Bun.serve({
  ...address(),
  fetch(request, server) {
    if (server.upgrade(request, { data: { path: new URL(request.url).pathname } })) return undefined;
    return new Response('not a WebSocket', { status: 426 });
  },
  websocket: {
    maxPayloadLength: 64 << 10,
    open(ws) {
      ws.data.conn = {
        reply: (text) => ws.send(text),
        join: (topic) => ws.subscribe(topic),
        leave: (topic) => ws.unsubscribe(topic),
        publish: (topic, text) => ws.publish(topic, text),
      };
    },
    message(ws, message) {
      handle(ws.data.conn, ws.data.path, message);
    },
  },
});
