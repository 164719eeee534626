// Writes dist/: the run-time as plain JavaScript, for `kanava gen js`, and the
// sums of what it was made from, by which a Go test sees that it is fresh.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

process.chdir(import.meta.dirname);
rmSync('dist', { recursive: true, force: true });
execFileSync('npx', ['tsc', '-p', '.', '--noEmit', 'false', '--rootDir', 'src', '--outDir', 'dist'], { stdio: 'inherit' });
for (const name of readdirSync('dist')) {
  const text = readFileSync(`dist/${name}`, 'utf8');
  writeFileSync(`dist/${name}`, text.replace(/^(?: {4})+/gm, (indent) => ' '.repeat(indent.length / 2)));
}
const sums = readdirSync('src').sort().map((name) =>
  `${createHash('sha256').update(readFileSync(`src/${name}`)).digest('hex')}  src/${name}\n`);
writeFileSync('dist/sources.sum', sums.join(''));
