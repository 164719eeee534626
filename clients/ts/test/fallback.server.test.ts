// Against the real server, the chat example, through something that lets no WebSocket through, or loses what it should not.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { ChatServer } from './chatserver.js';
import { connectChat, type ChatChannel, type KanavaOptions, type KanavaPresence, type Person, type RoomEvent } from './generated/chat.js';
import { Proxy, type Block } from './proxy.js';

const server = new ChatServer();
const chats: ChatChannel[] = [];
let url: string; // the proxy
let proxy: Proxy;

beforeAll(async () => {
  await server.build();
  await server.start();
}, 300_000);

beforeEach(async () => {
  proxy = new Proxy();
  url = await proxy.listen(server.url);
});

afterEach(() => {
  for (const chat of chats.splice(0)) chat.close();
  proxy.close();
  vi.unstubAllGlobals();
});

afterAll(() => server.remove());

const open = (room: string, user: string, options: KanavaOptions<ChatChannel> = {}, base = url) => {
  const chat = connectChat(base, { room }, { WebSocket, authenticate: async (first) => first.authenticate({ token: await token(user) }), ...options });
  chats.push(chat);
  return chat;
};

const token = async (user: string) => ((await (await fetch(`${server.url}/token?user=${user}`)).json()) as { token: string }).token;

/** Everything that was told from now on, to wait for. */
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

const texts = (events: RoomEvent[]) => events.map((event) => event.message);

test.each<Block>(['answers 200', 'answers 400', 'answers 426', 'swallows', 'cuts after 101', 'is deaf after 101'])(
  'a proxy that %s: everything goes by server-sent events', async (block) => {
    proxy.block = block;
    const ada = open('r1', 'ada');
    const bob = open('r1', 'bob', {}, server.url);
    const heard = gather<RoomEvent>(ada.on.room);
    const bytes = gather(ada.on.binary);
    expect(await ada.opened).toEqual({ welcome: 'Welcome to r1!' });
    expect(ada.state).toMatchObject({ name: 'open', transport: 'sse' });
    await bob.sendMessage({ message: 'hello ä€😀' });
    expect(texts(await heard.until((all) => all.length > 0))).toEqual(['hello ä€😀']);
    expect(await ada.sendMessage({ message: '' }).catch((e) => e)).toMatchObject({ code: 'invalid_argument', details: [{ pointer: '/message' }] });
    expect(await ada.sendMessage({ message: 'x'.repeat(70_000) }).catch((e) => e)).toMatchObject({ code: 'too_large' });
    expect(await ada.send({ message: 'hi' })).toEqual({ message: 'Echo: hi' });
    const steps: string[] = [];
    for await (const update of ada.process({ jobId: 'job' })) steps.push(update.type);
    expect(steps).toEqual(['processing', 'processing', 'complete']);
    for await (const _ of ada.process({ jobId: 'left' })) break;
    ada.sendBinary(Uint8Array.of(1, 2, 255));
    expect(await bytes.until((all) => all.length > 0)).toEqual([Uint8Array.of(255, 2, 1)]);
  }, 60_000);

test('a server that refuses is heard through it', async () => {
  proxy.block = 'answers 400';
  const chat = connectChat(url, { room: '' }, { WebSocket });
  chats.push(chat);
  await expect(chat.opened).rejects.toMatchObject({ code: 'unavailable', cause: { code: 'invalid_argument', details: [{ pointer: '/room' }] } });
  expect(chat.state).toMatchObject({ name: 'closed', code: 4400 });
});

test('when the block ends it comes back by WebSocket, and misses nothing', async () => {
  const online: (() => void)[] = [];
  vi.stubGlobal('addEventListener', (event: string, listener: () => void) => event === 'online' && online.push(listener));
  vi.stubGlobal('removeEventListener', () => {});
  proxy.block = 'answers 400';
  const ada = open('r2', 'ada');
  const bob = open('r2', 'bob', {}, server.url);
  const heard = gather<RoomEvent>(ada.on.room);
  const lost = gather(ada.on.lost);
  const states = gather(ada.on.state);
  await ada.opened;
  await bob.sendMessage({ message: 'first' });
  proxy.block = 'cuts after 101';
  online.at(-1)!(); // a look in vain
  await bob.sendMessage({ message: 'second' });
  await heard.until((all) => all.length === 2);
  proxy.block = 'nothing';
  online.at(-1)!();
  await states.until((all) => all.some(({ name }) => name === 'leaving'));
  await bob.sendMessage({ message: 'third' });
  await states.until((all) => all.some(({ transport }) => transport === 'websocket'));
  await bob.sendMessage({ message: 'fourth' });
  await heard.until((all) => all.length === 4);
  expect(texts(heard.values)).toEqual(['first', 'second', 'third', 'fourth']);
  expect(lost.values).toEqual([]);
  expect(states.values.map(({ code }) => code).filter((code) => code !== undefined)).toEqual([]);
}, 60_000);

test('answers to POSTs that are lost: each message is taken once, and in order', async () => {
  const ada = open('r3', 'ada', { transport: 'sse' });
  const bob = open('r3', 'bob', {}, server.url);
  const heard = gather<RoomEvent>(bob.on.room);
  await bob.whoami();
  await ada.whoami();
  proxy.loses = 3;
  await Promise.all(['a', 'b', 'c'].map((message) => ada.sendMessage({ message })));
  await ada.sendMessage({ message: 'd' });
  expect(texts(await heard.until((all) => all.length >= 4))).toEqual(['a', 'b', 'c', 'd']);
  expect(proxy.loses).toBeLessThanOrEqual(0);
}, 60_000);

test('many calls at once are few POSTs, and in order', async () => {
  const ada = open('r4', 'ada', { transport: 'sse' });
  const bob = open('r4', 'bob', {}, server.url);
  const heard = gather<RoomEvent>(bob.on.room);
  await bob.whoami();
  await ada.whoami();
  const before = proxy.posts;
  const messages = Array.from({ length: 300 }, (_, i) => i + ' ' + 'ä'.repeat(500));
  await Promise.all(messages.map((message) => ada.sendMessage({ message })));
  expect(texts(await heard.until((all) => all.length >= 300))).toEqual(messages);
  expect(proxy.posts - before).toBeLessThan(150);
}, 60_000);

test('what was missed while the connection was cut comes again', async () => {
  const ada = open('r5', 'ada', { transport: 'sse' });
  const bob = open('r5', 'bob', {}, server.url);
  const heard = gather<RoomEvent>(ada.on.room);
  const lost = gather(ada.on.lost);
  const states = gather(ada.on.state);
  await ada.whoami();
  await bob.sendMessage({ message: 'before' });
  await heard.until((all) => all.length === 1);
  for (const round of [1, 2]) {
    proxy.cut();
    await states.until((all) => all.filter(({ name }) => name === 'waiting').length >= round);
    for (const i of [1, 2, 3]) await bob.sendMessage({ message: `${round}.${i}` });
    await heard.until((all) => all.length >= 1 + 3 * round);
  }
  expect(texts(heard.values)).toEqual(['before', '1.1', '1.2', '1.3', '2.1', '2.2', '2.3']);
  expect(lost.values).toEqual([]);
}, 60_000);

test.each(['SIGTERM', 'SIGKILL'] as const)('the server restarts (%s): signed in again, subscribed again, what was missed is told', async (signal) => {
  const ada = open('r6', 'ada', { transport: 'sse' });
  const bob = open('r6', 'bob', { transport: 'sse' });
  const heard = gather<RoomEvent>(bob.on.room);
  const lost = gather(bob.on.lost);
  const states = gather(bob.on.state);
  await ada.sendMessage({ message: 'before' });
  await heard.until((all) => all.length === 1);
  await server.stop(signal);
  await states.until((all) => all.some(({ name }) => name !== 'open'));
  const waiting = ada.sendMessage({ message: 'while it is away' }, { timeout: 30_000, key: 'k' });
  await server.start();
  await states.until((all) => all.some(({ name }) => name === 'open'));
  await waiting;
  await bob.whoami();
  await ada.sendMessage({ message: 'after' });
  await heard.until((all) => all.some((event) => event.message === 'after'));
  if (signal === 'SIGTERM') expect(states.values.map((s) => s.code)).toContain(4503);
  expect(lost.values).toMatchObject([{ topic: 'room:r6' }]);
  expect(texts(heard.values).filter((text) => text === 'before')).toHaveLength(1);
}, 60_000);

test.each(['websocket', 'sse'] as const)('who is there, over %s', async (transport) => {
  const room = 'p-' + transport;
  const ada = open(room, 'ada', { transport });
  const who = gather<KanavaPresence<Person>>((listener) => ada.presence.room(room, listener));
  const names = () => [...(who.values.at(-1)?.members?.keys() ?? [])].join();
  await who.until(() => names() === 'ada');
  const bob = open(room, 'bob', { transport });
  await who.until(() => names() === 'ada,bob');
  expect(who.values.at(-1)).toMatchObject({ topic: 'room:' + room, key: room, count: 2, joined: [{ id: 'bob', connections: 1, data: { role: 'member' } }], left: [] });
  const later = gather<KanavaPresence<Person>>((listener) => ada.presence.room(listener));
  await later.until((all) => all.length === 1);
  const paged: string[] = [];
  for await (const { id } of ada.presence.room.members(room)) paged.push(id);
  expect(paged).toEqual(['ada', 'bob']);
  await bob.logout();
  await who.until(() => names() === 'ada');
  expect(who.values.at(-1)!.left).toMatchObject([{ id: 'bob' }]);
}, 60_000);

test('on a platform without WebSocket, such as Node 20, nothing has to be passed in', async () => {
  vi.stubGlobal('WebSocket', undefined);
  const ada = open('r7', 'ada', { WebSocket: undefined });
  expect(await ada.opened).toEqual({ welcome: 'Welcome to r7!' });
  expect(ada.state).toMatchObject({ transport: 'sse' });
});
