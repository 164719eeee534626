// The server of the comparison on Node and ws.
import { WebSocketServer } from 'ws';
import { address, handle } from './app.mjs';

const { hostname, port } = address();
const topics = new Map();
const subscribers = (topic) => topics.get(topic) ?? topics.set(topic, new Set()).get(topic);

new WebSocketServer({ host: hostname, port, maxPayload: 64 << 10 }).on('connection', (ws, request) => {
  const joined = new Set();
  const c = {
    reply: (text) => ws.send(text),
    join: (topic) => joined.add(subscribers(topic).add(ws)),
    leave: (topic) => subscribers(topic).delete(ws),
    publish: (topic, text) => {
      const frame = Buffer.from(text); // encoded once
      for (const to of subscribers(topic)) to.send(frame, { binary: false });
    },
  };
  ws.on('message', (data) => handle(c, request.url, data.toString()));
  ws.on('close', () => joined.forEach((set) => set.delete(ws)));
});
