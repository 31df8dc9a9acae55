// docs/conformance.md says what the cases of test/lab/gateway-conformance.test.ts are, and claims no more.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { conformanceDocument } from '../lab/gateway/documentation.ts';

test('docs/conformance.md has the tables of the cases that run', () => {
  const text = readFileSync(path.join(import.meta.dirname, '../../docs/conformance.md'), 'utf8');
  for (const part of conformanceDocument().split('\n\n')) {
    assert.ok(text.includes(part), `docs/conformance.md lacks:\n\n${part}\n`);
  }
});
