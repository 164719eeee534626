import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { address } from '../../../internal/testport/testport.mjs';

const take = async (n: number) => {
  const all: string[] = [];
  while (all.length < n) all.push(await address());
  return all;
};

test('neither one process nor two are given an address twice, nor one where somebody listens', async () => {
  const n = 100; // more than a block has
  const module = new URL('../../../internal/testport/testport.mjs', import.meta.url);
  const script = `const { address } = await import(${JSON.stringify(module.href)}); for (let i = 0; i < ${n}; i++) console.log(await address()); process.stdin.resume();`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const theirs: string[] = [];
    for await (const line of createInterface({ input: other.stdout })) if (theirs.push(line) === n) break;
    const ours = await take(n);
    const next = Number(ours.at(-1)!.split(':')[1]) + 1;
    const stranger = createServer().listen(next, '127.0.0.1');
    await once(stranger, 'listening');
    ours.push(await address());
    stranger.close();
    expect(ours.at(-1)).toBe(`127.0.0.1:${next + 1}`);
    expect(new Set([...ours, ...theirs]).size).toBe(2 * n + 1);
    for (const port of ours.map((address) => Number(address.split(':')[1]))) {
      expect(port).toBeGreaterThan(10_000);
      expect(port).toBeLessThan(32_768);
    }
  } finally {
    other.stdin.end();
    await once(other, 'exit');
  }
});
