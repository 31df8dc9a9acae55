// The table of log levels, and what is refused before anybody is asked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render } from './command.ts';
import { type LogRow, logResult } from './log.ts';
import { nowMs } from './testing-fixtures.ts';
import { assertGolden } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';

const row = (part: string, more: Partial<LogRow> = {}): LogRow => {
  return { part, pod: null, level: 'info', configured: 'info', until: null, error: null, ...more };
};

test('levels as a table and as JSON; who does not answer is said, and exit 1', async () => {
  const until = new Date(nowMs + 540_000).toISOString();
  const rows = [row('controller'), row('node/node-1', { level: 'debug', until })];
  const well = logResult(rows, null, nowMs);
  const silent = row('node/node-2', { level: null, configured: null, error: 'no answer' });
  const bad = logResult([...rows, silent], null, nowMs);
  assert.deepEqual([well.exitCode, bad.exitCode], [0, 1]);
  assertGolden('log.table.txt', `${await render(well, 'table')}\n${await render(bad, 'table')}`);
  assertGolden('log.json.txt', await render(bad, 'json'));
});

const refused: readonly [string[], RegExp][] = [
  [['log', '--level', 'loud', '--all'], /--level is one of trace, debug/],
  [['log', '--level', 'debug', '--reset'], /exclude each other/],
  [['log', '--duration', '10m'], /say which level/],
];
for (const [args, words] of refused) {
  test(`refused: ${args.join(' ')}`, async () => {
    const { code, err } = await runInProcess(args, { AMBIENT_LAB: 'no-such-lab' });
    assert.equal(code, 2);
    assert.match(err, words);
  });
}
