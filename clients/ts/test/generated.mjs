// Writes generated/: clients of the example and of the generator's gallery, and
// of random manifests, and the TypeScript of the guide, for the compiler. Needs Go.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

process.chdir(import.meta.dirname);
const go = (args, env = {}) =>
  execFileSync('go', args, { cwd: '../../..', stdio: 'inherit', env: { ...process.env, ...env } });
rmSync('generated', { recursive: true, force: true });
mkdirSync('generated/random', { recursive: true });
const out = (name) => `clients/ts/test/generated/${name}`;
go(['run', './cmd/kanava', 'gen', 'ts', './examples/chat', '-o', out('chat.ts')]);
go(['run', './cmd/kanava', 'gen', 'js', './examples/chat', '-o', out('chat.mjs')]);
const gallery = 'gen/internal/gallery/testdata/manifest.json';
go(['run', './cmd/kanava', 'gen', 'ts', gallery, '-o', out('gallery.ts')]);
go(['run', './cmd/kanava', 'gen', 'ts', gallery, '-o', out('dates.ts'), '--dates', 'date']);
go(['test', './gen/tsgen', '-run', 'TestRandom', '-count=1', '-rapid.checks=50'],
  { KANAVA_TS_DIR: `${import.meta.dirname}/generated/random` });

// The TypeScript of the README and the guide: the blocks of a page are one
// module, in which every line has the number that it has on its page.
mkdirSync('generated/guide');
cpSync('generated/chat.ts', 'generated/guide/client.ts');
go(['run', './cmd/kanava', 'gen', 'ts', './examples/hello', '-o', out('guide/hello.ts')]);
go(['run', './cmd/kanava', 'gen', 'ts', './examples/hello', '--dates', 'date', '-o', out('nodates.ts')]);
const root = '../../..';
const guide = readdirSync(`${root}/docs/guide`).filter((name) => name.endsWith('.md')).map((name) => `docs/guide/${name}`);
let blocks = 0;
for (const page of ['README.md', ...guide]) {
  let code = false;
  const lines = readFileSync(`${root}/${page}`, 'utf8').split('\n').map((line) => {
    if (!code && (line === '```ts' || line === '<!--ts')) blocks += code = true;
    else if (code && (line === '```' || line === '-->')) code = false;
    else if (code) return line;
    return '';
  });
  if (lines.some(Boolean)) writeFileSync(`generated/guide/${page.replaceAll('/', '-')}.ts`, lines.join('\n'));
}
if (blocks < 6) throw new Error(`only ${blocks} blocks of TypeScript in the README and the guide`);

const run = (...args) => {
  const { status } = spawnSync(args[0], args.slice(1), { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
};

// What the command promises of its files.
const typed = ['generated', 'generated/random', 'generated/guide'].flatMap((dir) =>
  readdirSync(dir).filter((name) => name.endsWith('.ts')).map((name) => `${dir}/${name}`));
run('npx', 'tsc', '--ignoreConfig', '--strict', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable',
  '--module', 'esnext', '--noEmit', ...typed);
// Projects can be stricter, and have the file among their sources.
const clients = typed.filter((name) => !name.startsWith('generated/guide/') || name.endsWith('/hello.ts'));
run('npx', 'tsc', '--ignoreConfig', '--strict', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--module', 'esnext', '--noEmit',
  '--noUnusedLocals', '--noUnusedParameters', '--noImplicitReturns', '--noImplicitOverride', '--noFallthroughCasesInSwitch',
  '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes', '--isolatedModules', ...clients);
const plain = ['generated', 'generated/random'].flatMap((dir) =>
  readdirSync(dir).filter((name) => name.endsWith('.mjs')).map((name) => `${dir}/${name}`));
for (const file of plain) run('node', '--check', file);
console.log(`${typed.length} TypeScript and ${plain.length} JavaScript files compile, with ${blocks} blocks of the guide`);
