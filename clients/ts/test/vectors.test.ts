import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Clock } from './clock.js';
import { FakeHTTP } from './fakehttp.js';
import { FakeSocket } from './fakesocket.js';
import { Runner, type Case } from './vector.js';

const folder = new URL('../../../conformance/client/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
const load = (file: string): Case[] => JSON.parse(readFileSync(new URL(file, folder), 'utf8'));

let clock: Clock;

beforeEach(() => {
  clock = new Clock();
  clock.install();
  FakeSocket.reset();
  FakeHTTP.install();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test('every rule that a client can break has a case, and names are unique', () => {
  const names = files.flatMap(load).map((c) => c.name);
  expect(new Set(names).size).toBe(names.length);
  for (const rule of ['P1', 'P3', 'P10', 'P11', 'P13', 'P14', 'P15', 'P18', 'D5', 'D6', 'D7', 'D9', '§3', '§5', '§6', '§8', 'S3', 'S4']) {
    expect(names.filter((name) => name.startsWith(rule + ' ')), rule).not.toEqual([]);
  }
});

for (const transport of ['websocket', 'sse'] as const) for (const file of files) {
  describe(`${file} over ${transport}`, () => {
    for (const one of load(file)) {
      test(one.name, async () => {
        const known = ['name', 'options', 'signIn', 'random', 'steps'];
        expect(Object.keys(one).filter((member) => !known.includes(member))).toEqual([]);
        const runner = new Runner(one, clock, transport);
        await clock.pass(0);
        for (const [i, step] of one.steps.entries()) {
          try {
            await runner.step(step);
          } catch (error: any) {
            error.message = `step ${i + 1}, ${JSON.stringify(step)}: ${error.message}`;
            throw error;
          }
        }
        await runner.finish();
      });
    }
  });
}
