// The project reads its own files: layers, lengths, one error table, words we do not write. No tools, about a second.
// Every finding says what to do. The rules are in `house/`; `house/rules.test.ts` tests them on small samples.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { errorTable } from '../src/base/errors.ts';
import { bannedCode, leftovers, lengths, undocumented } from './house/rules-code.ts';
import { everyFileIsUsed, importsGoDown, layersDocumented } from './house/rules-layers.ts';
import { dependenciesExplained, linksLead, machineWords, oneErrorTable, oneHeading } from './house/rules-project.ts';
import { type Finding, readProject, type SourceFile } from './house/source-files.ts';

const root = path.dirname(import.meta.dirname);
const files = readProject(root);
const codes = new Set(Object.keys(errorTable));
const exists = (file: string): boolean => existsSync(path.join(root, file));

const rules: readonly [title: string, check: (files: readonly SourceFile[]) => Finding[]][] = [
  ['imports go down the layers only', importsGoDown],
  ['the documentation has the layers as they are', layersDocumented],
  ['every file under src is used', everyFileIsUsed],
  ['files, functions and lines are short enough', lengths],
  ['no banned code', bannedCode],
  ['no leftover notes', leftovers],
  ['exported functions and classes are documented', undocumented],
  ['one error table', (all) => oneErrorTable(all, codes)],
  ['one title per document', oneHeading],
  ['links in documents lead somewhere', (all) => linksLead(all, exists)],
  ['every dependency is explained', dependenciesExplained],
  ['no words of one machine', machineWords],
];

/** A failure that shows its message and nothing else: the place is in each line of it. */
function plainFailure(message: string): Error {
  const error = new Error(message);
  error.stack = message;
  return error;
}

describe('tidy', () => {
  it('sees the project', () => {
    for (const known of ['src/base/errors.ts', 'test/tidy.test.ts', 'package-lock.json', 'native-free/run.mjs']) {
      assert.ok(
        files.some((file) => file.path === known),
        `${known} should be among the files that tidy reads`,
      );
    }
  });

  for (const [title, check] of rules) {
    it(title, () => {
      const findings = check(files).map(({ path: file, line, message }) => `${file}:${line}: ${message}`);
      if (findings.length > 0) throw plainFailure(`${findings.length} to tidy\n${findings.join('\n')}`);
    });
  }
});
