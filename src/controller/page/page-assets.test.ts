// The files of the page: without types, and without a word of Node about how these are taken out.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { readPageAssets } from './page-assets.ts';

test('nothing is written to stderr when they are read from sources, and other warnings are', () => {
  const program = `
    const { readPageAssets } = await import(${JSON.stringify(path.join(import.meta.dirname, 'page-assets.ts'))});
    readPageAssets();
    process.emitWarning('something else');
  `;
  const args = ['--input-type=module', '--eval', `${program}`];
  // In a process of its own, since Node says it once.
  const said = execFileSync('/bin/sh', ['-c', 'exec "$0" "$@" 2>&1 >/dev/null', process.execPath, ...args]);
  assert.match(said.toString(), /^\(node:\d+\) Warning: something else\n/);
  assert.doesNotMatch(said.toString(), /stripTypeScriptTypes/);
});

test('scripts are JavaScript, each with what it imports', () => {
  const assets = readPageAssets();
  const main = assets.get('/assets/page/ui/main.ts')!;
  assert.equal(main.contentType, 'text/javascript; charset=utf-8');
  assert.doesNotMatch(main.body, /^import type /m);
  assert.ok(assets.has('/assets/model/page-views.ts'));
});
