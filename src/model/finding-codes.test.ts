// Each code has a page in docs/findings, with its title and severity, and each page has a code.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type FindingCode, findingCodes, ruleOf } from './finding-codes.ts';

const folder = path.join(import.meta.dirname, '../../docs/findings');

test('each code has a page in docs/findings, and each page a code', () => {
  const pages = readdirSync(folder).filter((name) => name !== 'README.md');
  assert.deepEqual(
    pages.sort(),
    Object.keys(findingCodes)
      .map((code) => `${code}.md`)
      .sort(),
  );
  const list = readFileSync(path.join(folder, 'README.md'), 'utf8');
  for (const code of Object.keys(findingCodes) as FindingCode[]) {
    const { title, severity, equivalent } = ruleOf(code);
    const [heading, , kind] = readFileSync(path.join(folder, `${code}.md`), 'utf8').split('\n');
    assert.equal(heading, `# ${code}: ${title}`);
    assert.equal(kind?.toLowerCase().startsWith(severity), true, code);
    if (equivalent !== undefined) assert.ok(kind?.includes(equivalent), code);
    assert.ok(list.includes(`| [${code}](${code}.md) | ${severity} | ${title} |`), code);
  }
});

test("the table of istioctl's codes has every code that says it is one of them", () => {
  const list = readFileSync(path.join(folder, 'README.md'), 'utf8');
  const start = list.indexOf("## istioctl's codes");
  const lines = list.slice(start, list.indexOf('## Codes')).split('\n');
  for (const code of Object.keys(findingCodes) as FindingCode[]) {
    for (const equivalent of ruleOf(code).equivalent?.split(', ') ?? []) {
      assert.ok(
        lines.some((line) => line.includes(equivalent) && line.includes(code)),
        `${equivalent}: ${code}`,
      );
    }
  }
});
