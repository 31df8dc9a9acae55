// Golden files for tests: what a command prints, kept as text beside the code. `UPDATE_GOLDEN=1` writes them anew.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type CommandResult, outputFormats, render } from './command.ts';

const folder = path.join(import.meta.dirname, 'golden');

/** Fails when `text` differs from the golden file `name`. */
export function assertGolden(name: string, text: string): void {
  const file = path.join(folder, name);
  if (process.env.UPDATE_GOLDEN === '1') {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text);
    return;
  }
  assert.equal(text, readFileSync(file, 'utf8'), `${name} differs; when that is meant, run with UPDATE_GOLDEN=1`);
}

/** Checks a result in every output format. All end in `.txt`, so that no formatter takes the JSON for its own. */
export async function assertGoldenResult(name: string, result: CommandResult): Promise<void> {
  for (const format of outputFormats) assertGolden(`${name}.${format}.txt`, await render(result, format));
}
