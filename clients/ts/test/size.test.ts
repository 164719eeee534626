import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const budget = 6 * 1024;

test('the client of the chat example is at most 6 KB, minified and gzipped', async () => {
  const { outputFiles } = await build({
    entryPoints: [new URL('generated/chat.ts', import.meta.url).pathname],
    bundle: true, minify: true, format: 'esm', target: 'es2022', write: false,
  });
  const text = outputFiles[0]!.text;
  const size = gzipSync(text, { level: 9 }).length;
  console.log(`client: ${text.length} bytes minified, ${size} gzipped, of ${budget}`);
  expect(size).toBeLessThanOrEqual(budget);
});
