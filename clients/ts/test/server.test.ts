// Against the real server: the chat example, which is stopped, killed and started again.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { ChatServer } from './chatserver.js';
import { connectChat, type ChatChannel, type RoomEvent } from './sample.js';

const server = new ChatServer();
const chats: ChatChannel[] = [];

beforeAll(async () => {
  await server.build();
  await server.start();
}, 300_000);

afterEach(() => {
  for (const chat of chats.splice(0)) chat.close();
});

afterAll(() => server.remove());

const open = (room: string, user?: string) => {
  const chat = connectChat(server.url, { room }, {
    WebSocket,
    authenticate: user ? async (first) => first.authenticate({ token: await token(user) }) : undefined,
  });
  chats.push(chat);
  return chat;
};

const token = async (user: string) => {
  const { token } = (await (await fetch(`${server.url}/token?user=${user}`)).json()) as { token: string };
  return token;
};

/** What the channel tells, to wait for. */
function gather<T>(listen: (listener: (value: T) => void) => unknown) {
  const values: T[] = [];
  let changed = () => {};
  listen((value) => {
    values.push(value);
    changed();
  });
  return {
    values,
    async until(enough: (values: T[]) => boolean) {
      while (!enough(values)) await new Promise<void>((resolve) => (changed = resolve));
      return values;
    },
  };
}

test('calls, errors, events, streams, OnMessage and bytes', async () => {
  const ada = open('r1', 'ada');
  const bob = open('r1', 'bob');
  const seen = { ada: gather<RoomEvent>(ada.on.room), bob: gather<RoomEvent>(bob.on.room) };
  expect(await ada.opened).toEqual({ welcome: 'Welcome to r1!' });
  await bob.opened;

  const sent = await ada.sendMessage({ message: 'hello' });
  expect(sent.message).toBe('hello');
  expect(await seen.bob.until((all) => all.length > 0)).toMatchObject([{ type: 'message', message: 'hello', userId: 'ada' }]);
  await bob.sendMessage({ message: 'hello yourself' });
  expect(await seen.ada.until((all) => all.length > 0)).toMatchObject([{ message: 'hello yourself', userId: 'bob' }]);

  expect(await ada.sendMessage({ message: '' }).catch((e) => e)).toMatchObject({ code: 'invalid_argument', details: [{ pointer: '/message' }], unknownOutcome: false });
  expect(await ada.sendMessage({ message: 'x'.repeat(70_000) }).catch((e) => e)).toMatchObject({ code: 'too_large' });
  expect(await ada.send({ message: 'hi' })).toEqual({ message: 'Echo: hi' });

  const steps = [];
  for await (const update of ada.process({ jobId: 'job' })) steps.push(update);
  expect(steps).toEqual([{ type: 'processing', step: 'Loading data' }, { type: 'processing', step: 'Processing' }, { type: 'complete', result: { jobId: 'job', records: 9 } }]);
  for await (const update of ada.process({ jobId: 'left' })) {
    expect(update.type).toBe('processing');
    break;
  }

  const bytes = gather(ada.on.binary);
  ada.sendBinary(Uint8Array.of(1, 2, 255));
  expect(await bytes.until((all) => all.length > 0)).toEqual([Uint8Array.of(255, 2, 1)]);

  await ada.logout();
  await expect(ada.sendMessage({ message: 'x' })).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('opening data that is refused ends the channel with its reason', async () => {
  const chat = open('');
  await expect(chat.opened).rejects.toMatchObject({ code: 'unavailable', cause: { code: 'invalid_argument', details: [{ pointer: '/room' }] } });
  expect(chat.state).toMatchObject({ name: 'closed', code: 4400 });
});

test('a token that is refused twice ends the channel', async () => {
  const chat = connectChat(server.url, { room: 'r' }, { WebSocket, authenticate: (first) => first.authenticate({ token: 'wrong' }) });
  chats.push(chat);
  const errors = gather(chat.on.error);
  await expect(chat.sendMessage({ message: 'x' })).rejects.toMatchObject({ code: 'unavailable', unknownOutcome: false });
  expect(errors.values.map((e) => e.code)).toEqual(['unauthenticated', 'unauthenticated']);
  expect(chat.state).toMatchObject({ name: 'closed', code: 4401 });
});

test.each(['SIGTERM', 'SIGKILL'] as const)('the server restarts (%s): signed in again, subscribed again, what was missed is told', async (signal) => {
  const ada = open('r2', 'ada');
  const bob = open('r2', 'bob');
  const heard = gather<RoomEvent>(bob.on.room);
  const lost = gather(bob.on.lost);
  const states = gather(bob.on.state);
  await ada.sendMessage({ message: 'before' });
  await heard.until((all) => all.length === 1);

  const noticed = gather(ada.on.state).until((all) => all.length > 0);
  await server.stop(signal);
  await noticed;
  const waiting = ada.sendMessage({ message: 'while it is away' }, { timeout: 30_000 });
  await server.start();
  await states.until((all) => all.filter((s) => s.name === 'open').length > 1);
  await waiting;
  await bob.sendMessage({ message: 'bob is signed in' }, { timeout: 30_000 });
  await ada.sendMessage({ message: 'after' });
  await heard.until((all) => all.some((event) => event.message === 'after'));
  if (signal === 'SIGTERM') expect(states.values.map((s) => s.code)).toContain(4503);
  // The new process has forgotten the room: another epoch.
  expect(lost.values).toHaveLength(1);
  expect(lost.values[0]).toMatchObject({ topic: 'room:r2' });
  expect(heard.values.filter((event) => event.message === 'before')).toHaveLength(1);
}, 60_000);
