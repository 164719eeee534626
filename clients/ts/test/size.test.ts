// What the client of the chat example costs a page, minified and gzipped (docs/adr/0005).
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build, type Plugin } from 'esbuild';
import { expect, test } from 'vitest';

const chat = new URL('generated/chat.ts', import.meta.url).pathname;

/** The modules of test/without in place of those of src with the same names. */
const without: Plugin = {
  name: 'without',
  setup(build) {
    build.onResolve({ filter: /\/(transports|presence)\.js$/ }, ({ path }) => ({ path: new URL('without' + path.slice(path.lastIndexOf('/')).replace('.js', '.ts'), import.meta.url).pathname }));
  },
};

/** The client with the run-time's modules in place of its text. */
function apart(): string {
  const [client] = readFileSync(chat, 'utf8').split('\n// The run-time: ');
  return `import { connect } from '../src/connection.js';
    import { events, on, onTopic } from '../src/channel.js';
    import { presence } from '../src/presence.js';
    export { KanavaError } from '../src/error.js';
    ${client}`;
}

async function size(what: string, budget: number, contents: string, plugins: Plugin[] = []) {
  const { outputFiles } = await build({
    stdin: { contents, loader: 'ts', resolveDir: import.meta.dirname },
    bundle: true, minify: true, format: 'esm', target: 'es2022', write: false, plugins,
  });
  const { text } = outputFiles[0]!;
  const size = gzipSync(text, { level: 9 }).length;
  console.log(`${what}: ${text.length} bytes minified, ${size} gzipped, of ${budget}`);
  expect(size).toBeLessThanOrEqual(budget);
  return { text, size };
}

test('the client of the chat example', () => size('client', 8806, readFileSync(chat, 'utf8')));

test('the same without server-sent events and presence is at most 6 KB', async () => {
  const { text, size: small } = await size('without server-sent events and presence', 6 * 1024, apart(), [without]);
  expect(text).not.toMatch(/event-stream|joined/);
  const { text: whole, size: large } = await size('with all parts', 8806, apart());
  expect(whole).toMatch(/event-stream/);
  expect(whole).toMatch(/joined/);
  expect(large - small).toBeGreaterThan(2000); // or nothing was left out
});
