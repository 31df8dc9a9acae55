// Diffs, by what `patch` would make of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unifiedDiff } from './unified-diff.ts';

test('a diff has three lines around each change, and hunks of their own for what is far apart', () => {
  const before = Array.from({ length: 20 }, (_, at) => `line ${at}\n`);
  const after = before.with(4, 'new\n').toSpliced(16, 0, 'more\n');
  assert.equal(unifiedDiff('/dir/a.yaml', before.join(''), before.join('')), '');
  const shown = (from: number, to: number): string[] => before.slice(from, to).map((line) => ` ${line}`);
  const first = ['@@ -2,7 +2,7 @@\n', ...shown(1, 4), '-line 4\n', '+new\n', ...shown(5, 8)];
  const second = ['@@ -14,6 +14,7 @@\n', ...shown(13, 16), '+more\n', ...shown(16, 19)];
  const head = ['--- a/dir/a.yaml\n', '+++ b/dir/a.yaml\n'];
  assert.equal(unifiedDiff('/dir/a.yaml', before.join(''), after.join('')), [...head, ...first, ...second].join(''));
  assert.match(unifiedDiff('a', 'x', 'y\n'), /-x\n\\ No newline at end of file\n\+y\n$/);
});

test('what a diff says makes the one text of the other', () => {
  const line = fc.constantFrom('a\n', 'b\n', 'c\r\n', '\n', 'd\n');
  const lines = fc.array(line, { maxLength: 30 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const [old, fresh] = [before.join(''), after.join('')];
      assert.equal(patched(old, unifiedDiff('f', old, fresh)), fresh);
    }),
  );
});

/** What `patch` does, strictly: context and what goes have to be there. */
function patched(text: string, diff: string): string {
  const source = text.split(/(?<=\n)/).filter((line) => line !== '');
  const made: string[] = [];
  let at = 0;
  for (const hunk of diff.split(/^(?=@@)/m).slice(1)) {
    const [head = '', ...lines] = hunk.split(/(?<=\n)/);
    const start = Number(/^@@ -(\d+)/.exec(head)?.[1]) - 1;
    while (at < start) made.push(source[at++]!);
    for (const line of lines) {
      const body = line.slice(1);
      if (line[0] === '+') made.push(body);
      else {
        assert.equal(source[at++], body);
        if (line[0] === ' ') made.push(body);
      }
    }
  }
  return [...made, ...source.slice(at)].join('');
}
