import { expect, test, vi } from 'vitest';
import { follow } from '../src/topic.js';
import { World, type Faults } from './world.js';

const all: [string, Faults][] = [
  ['reconnects only', { cut: true }],
  ['slow consumer', { cut: true, slow: true }],
  ['Except and middleware', { cut: true, filter: true }],
  ['engine restart', { cut: true, restart: true }],
  ['loss between engine and node', { cut: true, link: true }],
  ['unsubscribe and subscribe again', { cut: true, unsub: true }],
  ['history expires', { cut: true, expire: true }],
  ['recover is refused', { cut: true, busy: true, expire: true }],
  ['stateless: reordered and lost', { cut: true, stateless: true }],
  ['stateless with all of it', { cut: true, filter: true, restart: true, expire: true, stateless: true, busy: true }],
  ['stateful with all of it', { cut: true, slow: true, filter: true, restart: true, link: true, expire: true, busy: true }],
];

const runs = Number(process.env['RUNS'] ?? 500);

test.each(all)('D5 D6 D7 exactly once in order, or lost: %s', (_, faults) => {
  vi.spyOn(Date, 'now').mockReturnValue(0);
  let delivered = 0, lost = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const seen = new World(seed, faults).run();
    expect([...seen.faults], `seed ${seed}`).toEqual([]);
    delivered += seen.delivered;
    lost += seen.lost;
  }
  vi.restoreAllMocks();
  expect(delivered / runs, 'a model in which little is delivered proves little').toBeGreaterThan(2);
  if (faults.restart || faults.expire) expect(lost).toBeGreaterThan(runs / 10);
}, 60_000);

test('D5 Latest remembers the 1,024 keys that changed last, and no more', () => {
  const got: string[] = [];
  const topic = follow({ deliver: (f) => got.push(`${f.k}:${f.o}`), lost: () => {}, ask: () => false, later: () => {} });
  const on = (k: number, o: number) => {
    const before = got.length;
    topic.frame('on', { e: 'x', o, k: 'k' + k });
    return got.length > before;
  };
  topic.frame('sub', { class: 'latest', e: 'x', o: 0 });
  for (let k = 0; k < 1024; k++) on(k, k + 1);
  expect(on(0, 2000)).toBe(true);
  expect(on(1024, 2001)).toBe(true);
  expect(on(0, 2000), 'key 0 changed lately').toBe(false);
  expect(on(2, 3), 'so did key 2, next to the oldest').toBe(false);
  expect(on(1, 2), 'key 1 is forgotten').toBe(true);
});
