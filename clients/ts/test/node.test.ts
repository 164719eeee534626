// On Node without a WebSocket of its own: the class of package ws, on real sockets.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { filled } from '../src/wildcards.js';
import { connect, type KanavaConnection } from '../src/connection.js';
import { greeting } from './harness.js';

let chat: KanavaConnection;
let server: WebSocketServer | undefined;

afterEach(() => {
  chat?.close();
  for (const client of server?.clients ?? []) client.terminate();
  server?.close();
});

async function listen(answer: (frame: any, send: (frame: unknown) => void, socket: WebSocket) => void): Promise<string> {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: (offered) => offered.values().next().value ?? false });
  server.on('connection', (socket, request) => {
    socket.on('message', (data, binary) => {
      if (binary) return socket.send(data, { binary: true });
      const send = (frame: unknown) => socket.send(JSON.stringify(frame));
      const frame = JSON.parse(String(data));
      if (frame.hello) {
        send({ open: greeting });
        send({ push: '', v: { protocol: socket.protocol, tenant: request.headers['x-tenant'], path: request.url } });
      } else answer(frame, send, socket);
    });
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('the handshake, headers, calls, streams, bytes', async () => {
  const url = await listen((frame, send) => {
    if (frame.do === 'count') for (const item of [1, 2]) send({ re: frame.id, item });
    send({ re: frame.id, ...(frame.do === 'echo' && { out: frame.in }) });
  });
  chat = connect({ path: filled('/chat/{room}', { room: 'a b' }), query: ['n'] }, url, { n: 1 }, { WebSocket, headers: { 'X-Tenant': 't' } });
  expect(await chat.opened).toEqual({ protocol: 'kanava.v1', tenant: 't', path: '/chat/a%20b?n=1' });
  expect(await chat.call({ do: 'echo', in: { text: 'ää' } })).toEqual({ text: 'ää' });
  const items = [];
  for await (const item of chat.stream({ do: 'count' })) items.push(item);
  expect(items).toEqual([1, 2]);
  const bytes = new Promise((resolve) => chat.listen(':binary', undefined, resolve));
  chat.sendBinary(Uint8Array.of(0, 255));
  expect(await bytes).toEqual(Uint8Array.of(0, 255));
});

test('a lost connection comes back', async () => {
  let calls = 0;
  const url = await listen((frame, send, socket) => (++calls === 1 ? socket.terminate() : send({ re: frame.id, out: calls })));
  chat = connect({ path: '/' }, url, {}, { WebSocket });
  await expect(chat.call({ do: 'x' })).rejects.toMatchObject({ code: 'unavailable', unknownOutcome: true });
  expect(await chat.call({ do: 'x' })).toBe(2);
});

test('a server that is not there, or speaks no WebSocket, is no exception that nobody catches', async () => {
  const other = createServer((_, response) => void response.writeHead(404).end());
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const waits = (c: KanavaConnection) => new Promise<number | undefined>((resolve) => {
    c.listen(':state', undefined, ({ name, code }) => name === 'waiting' && resolve(code));
  });
  chat = connect({ path: '/' }, `ws://127.0.0.1:${port}`, {}, { WebSocket });
  expect(await waits(chat)).toBe(1006);
  chat.close();
  other.closeAllConnections();
  other.close();
  await once(other, 'close');
  chat = connect({ path: '/' }, `ws://127.0.0.1:${port}`, {}, { WebSocket });
  expect(await waits(chat)).toBe(1006);
  chat.close();
  // closed before the connection stands
  chat = connect({ path: '/' }, `ws://127.0.0.1:${port}`, {}, { WebSocket });
  await Promise.resolve();
  chat.close();
  expect(chat.state.name).toBe('closed');
});
