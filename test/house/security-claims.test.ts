// Each claim of `docs/security.md` names a test, and each of those tests is there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

const root = path.join(import.meta.dirname, '../..');
const text = readFileSync(path.join(root, 'docs/security.md'), 'utf8');

/**
 * `| claim | tests |`, each test as [`FILE`](../FILE) "TITLE", or the beginning of a title that goes on with a value.
 */
const rows = section('Claims and their tests')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| claim'))
  .map((line) => {
    const [, claim = '', tests = ''] = line.split('|').map((cell) => cell.trim());
    return { claim, tests: [...tests.matchAll(/\[`([^`]+)`\]\(\.\.\/([^)]+)\) "([^"]+)"/g)] };
  });

function section(title: string): string {
  const [, body = ''] = text.split(`## ${title}\n`);
  return body.split('\n## ')[0] ?? '';
}

describe('claims of docs/security.md', () => {
  test('there are claims to look at', () => {
    assert(rows.length >= 15, `${rows.length} rows`);
  });

  for (const { claim, tests } of rows) {
    test(claim, () => {
      assert(tests.length > 0, 'it names no test');
      for (const [, shown, file = '', title = ''] of tests) {
        assert.equal(shown, file);
        const source = readFileSync(path.join(root, file), 'utf8');
        const found = ["'", '"', '`'].some((quote) => source.includes(`${quote}${title.replaceAll("'", "\\'")}`));
        const bare = ['"', '`'].some((quote) => source.includes(`${quote}${title}`));
        assert(found || bare, `${file} has no test "${title}"`);
      }
    });
  }
});
