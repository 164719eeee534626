// Who is there: what vectors cannot say (rule D12).
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { toDate } from '../src/dates.js';
import { presence, type KanavaPresence, type KanavaPresences } from '../src/presence.js';
import { Harness } from './harness.js';

let h: Harness;
let room: KanavaPresences<any>;
beforeEach(async () => {
  h = new Harness();
  await h.connect();
  room = presence(h.chat, 'room');
  await h.greet();
});
afterEach(async () => {
  h.chat?.close();
  await h.clock.pass(0);
  expect(h.left).toEqual({ timers: 0, sockets: 0, listeners: 0 });
  h.end();
});

const one = (id: string, data: unknown = null) => ({ id, n: 1, data });
const all = (topic: string, v: number, ...ids: string[]) => h.socket.frame({ presence: topic, v, all: ids.map((id) => one(id)), count: ids.length });
const told = () => {
  const list: KanavaPresence<any>[] = [];
  return { list, listen: (who: KanavaPresence<any>) => void list.push(who), ids: () => list.map(({ topic, members }) => [topic, ...(members?.keys() ?? [])]) };
};

test('a listener that comes later is told at once what is so, and that nobody has come or gone', async () => {
  all('room:a', 1, 'bob', 'ann');
  all('room:b', 1, 'eve');
  all('other:a', 1, 'zoe');
  const [every, key, none] = [told(), told(), told()];
  room(every.listen);
  room('a', key.listen);
  room('c', none.listen);
  expect(every.list).toEqual([]);
  await h.clock.pass(0);
  expect(every.ids()).toEqual([['room:a', 'ann', 'bob'], ['room:b', 'eve']]);
  expect(key.list).toMatchObject([{ topic: 'room:a', key: 'a', count: 2, joined: [], left: [] }]);
  expect(none.list).toEqual([]);
  h.socket.frame({ presence: 'room:a', v: 2, join: [one('eve')], leave: ['bob'], count: 2 });
  expect(key.list[1]).toMatchObject({ joined: [{ id: 'eve', connections: 1 }], left: [{ id: 'bob' }] });
});

test('it is told once, what is so by then', async () => {
  all('room:a', 1, 'ann');
  const seen = told();
  room(seen.listen);
  all('room:a', 2, 'ann', 'bob');
  const gone = told();
  room(gone.listen)();
  await h.clock.pass(0);
  expect(seen.ids()).toEqual([['room:a', 'ann', 'bob']]);
  expect(gone.list).toEqual([]);
});

test('nobody is told after the end of a subscription what was before it', async () => {
  all('room:a', 1, 'ann');
  const seen = told();
  room(seen.listen);
  h.socket.frame({ unsub: 'room:a', reason: 'session' });
  await h.clock.pass(0);
  expect(seen.list).toMatchObject([{ count: 0, left: [{ id: 'ann' }] }]);
  const later = told();
  room(later.listen);
  await h.clock.pass(0);
  expect(later.list).toEqual([]);
});

test('one that throws is reported, and keeps nothing from the others', async () => {
  const thrown = vi.fn();
  process.on('uncaughtException', thrown);
  const others = process.listeners('uncaughtException').filter((listener) => listener !== thrown);
  others.forEach((listener) => process.off('uncaughtException', listener));
  const bad = () => {
    throw new Error('x');
  };
  room(bad);
  all('room:a', 1, 'ann');
  all('room:b', 1, 'ann');
  const seen = told();
  room(bad);
  room(seen.listen);
  all('room:a', 2, 'ann', 'bob');
  await h.clock.pass(0);
  expect(seen.ids()).toEqual([['room:a', 'ann', 'bob'], ['room:b', 'ann']]);
  expect(thrown).toHaveBeenCalledTimes(5);
  process.off('uncaughtException', thrown);
  others.forEach((listener) => process.on('uncaughtException', listener));
});

test('what one has been told does not change', () => {
  const seen = told();
  room(seen.listen);
  all('room:a', 1, 'ann');
  h.socket.frame({ presence: 'room:a', v: 2, join: [one('bob')], leave: ['ann'], count: 1 });
  expect(seen.ids()).toEqual([['room:a', 'ann'], ['room:a', 'bob']]);
});

test('the data of members is turned into what the channel says', async () => {
  presence(h.chat, 'dates', toDate);
  const seen = told();
  presence(h.chat, 'dates', toDate)(seen.listen);
  h.socket.frame({ presence: 'dates:a', v: 1, all: [one('ann', '2026-01-02T03:04:05Z')], count: 1 });
  expect(seen.list[0]!.members!.get('ann')!.data).toEqual(new Date('2026-01-02T03:04:05Z'));
  const list = presence(h.chat, 'dates', toDate).members('a');
  const first = list.next();
  h.socket.frame({ re: 1, out: { v: 1, all: [one('eve', '2026-01-02T03:04:05Z')], count: 1 } });
  expect((await first).value).toEqual({ id: 'eve', connections: 1, data: new Date('2026-01-02T03:04:05Z') });
});

test('members wait for a connection, and are given up by their signal', async () => {
  h.socket.end(1006);
  const abort = new AbortController();
  const list = room.members('a', { signal: abort.signal });
  const first = list.next();
  await h.clock.pass(h.chat.state.next! - h.clock.now);
  await h.greet();
  expect(h.socket.sent).toEqual([{ id: 1, presence: 'room:a' }]);
  abort.abort();
  await expect(first).rejects.toMatchObject({ code: 'canceled' });
  expect(h.socket.sent[1]).toEqual({ cancel: 1 });
  expect(await list.next()).toEqual({ done: true, value: undefined });
});

test('members that nobody reads on are not asked for', async () => {
  const list = room.members('a');
  const first = list.next();
  h.socket.frame({ re: 1, out: { v: 1, all: [one('ann'), one('bob')], count: 9, next: 'bob' } });
  await first;
  await list.return!();
  await h.clock.pass(0);
  expect(h.socket.sent.length).toBe(1);
});

test('a server cannot make a client keep without end', async () => {
  const errors: string[] = [];
  h.chat.listen(':error', undefined, (error) => errors.push(error.code));
  const seen = told();
  room(seen.listen);
  // large members
  const text = 'x'.repeat(50_000);
  h.socket.frame({ presence: 'room:a', v: 1, all: [], count: 0 });
  for (let v = 2; v < 20; v++) h.socket.frame({ presence: 'room:a', v, join: [one('m' + v, text)], count: v });
  expect(Math.max(...seen.list.map(({ members }) => JSON.stringify([...(members?.values() ?? [])]).length))).toBeLessThan(2 ** 18 + 1000);
  expect(seen.list.at(-1)).toMatchObject({ count: 19, members: undefined });
  // differences that never follow
  for (let v = 100; v < 400; v++) h.socket.frame({ presence: 'room:b', v: v * 2, join: [one('m' + v, text)], count: 1 });
  expect(h.chat.core.places.all.get('room:b').held.length).toBeLessThan(6);
  for (let v = 1000; v < 1400; v++) h.socket.frame({ presence: 'room:c', v: v * 2, join: [one('m')], count: 1 });
  expect(h.chat.core.places.all.get('room:c').held.length).toBe(64);
  // places
  for (let i = 0; i < 500; i++) all('room:k' + i, 1, 'ann');
  expect(h.chat.core.places.all.size).toBe(128);
  expect(errors.length).toBe(500 - 127); // b and c have made room
  await h.reconnect();
  all('room:new', 1, 'ann');
  expect(seen.list.at(-1)).toMatchObject({ topic: 'room:new', count: 1 });
  expect(h.chat.core.places.all.size).toBeLessThanOrEqual(128);
});

test.each([
  { presence: 'room:a' }, { presence: 'room:a', v: 1, all: 5 }, { presence: 'room:a', v: 1, all: [null] }, { presence: 'room:a', v: 2, join: 5 },
  { presence: 5, v: 1, all: [] }, { presence: null }, { presence: 'room:a', v: 'x', join: [{}], leave: {} },
])('what makes no sense harms nothing: %j', async (frame) => {
  h.socket.frame(frame);
  await h.clock.pass(0);
  for (const { id } of h.socket.sent.splice(0)) h.socket.frame({ re: id, out: { v: 1, all: [{}, 7], count: 'x' } });
  const seen = told();
  room('b', seen.listen);
  all('room:b', 1, 'ann');
  expect(seen.ids()).toEqual([['room:b', 'ann']]);
  expect(h.chat.state.name).toBe('open');
});
