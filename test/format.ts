// `npm run format [-- FILE…]`: Biome's formatter and safe fixes, and comments broken at the limit of the tidy test.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { wrapComments } from './house/wrap-comments.ts';

const root = path.dirname(import.meta.dirname);
const files = process.argv.slice(2);
const codeGlobs = ['src/**/*.{ts,mjs}', 'native-free/**/*.{ts,mjs}', 'test/**/*.ts', 'bench/**/*.ts', 'build/**/*.ts'];

const chosen = files.length > 0 ? files : globSync(codeGlobs, { cwd: root });
for (const file of chosen) {
  if (!/\.(ts|mjs)$/.test(file) || file.split(path.sep).includes('generated')) continue;
  const full = path.resolve(root, file);
  const before = readFileSync(full, 'utf8');
  const after = wrapComments(before);
  if (after !== before) writeFileSync(full, after);
}
const biome = path.join(root, 'node_modules/@biomejs/biome/bin/biome');
const result = spawnSync(process.execPath, [biome, 'check', '--write', ...(files.length > 0 ? files : ['.'])], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = result.status ?? 1;
