import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { generate, generatedDir } from '../../native-free/generate.ts';

test('the generated messages are those of the .proto files; otherwise type: npm run generate', (context) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-generated-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  generate(dir);
  const names = readdirSync(dir).sort();
  assert.deepEqual(readdirSync(generatedDir).sort(), names);
  for (const name of names) {
    const fresh = readFileSync(path.join(dir, name), 'utf8');
    assert.equal(readFileSync(path.join(generatedDir, name), 'utf8'), fresh, name);
  }
});
