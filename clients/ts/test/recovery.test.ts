import { expect, test, vi } from 'vitest';
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

const runs = Number(process.env['RUNS'] ?? 1000);

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
