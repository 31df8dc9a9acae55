// docs/runbook.md has for each incident what it is there for: the command and the words of its answer, the alert, what
// to open on the live page, and panels that exist. And the rules that lead there have the times that they should have.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dashboards } from '../../native-free/dashboards/dashboards.ts';
import { projectFile } from '../../src/base/project-files.ts';
import { incidents } from './all.ts';
import { anchorsOf } from './anchors.ts';
import { shortRule } from './short-rules.ts';

const page = readFileSync(projectFile('docs/runbook.md'), 'utf8');
const sections = page.split(/^## .*$/m).slice(1);
const anchors = anchorsOf(page);
const panels = dashboards.flatMap(({ title, rows }) =>
  rows.flatMap((row) => row.panels.map((panel) => `${title}, ${panel.title}`)),
);

for (const { name, runbook, command, says, alert, sights, panels: shown } of incidents) {
  test(`the runbook has ${name}: command, answer, alert, page, panels`, () => {
    const section = sections[anchors.indexOf(runbook)];
    assert(section !== undefined, `there is no #${runbook}`);
    const [, asked, answer = ''] = /```\n\$ (.*)\n([^`]*)```/.exec(section) ?? [];
    assert.equal(asked, `ambientctl ${command.join(' ')}`);
    for (const words of says) assert.match(answer, words);
    assert(section.includes(`\`${alert.name}\``), alert.name);
    const text = section.replaceAll(/\s+/g, ' ');
    for (const { place } of sights) assert(text.includes(`*${place}*`), place);
    for (const panel of shown) {
      assert(panels.includes(panel), `there is no panel ${panel}`);
      assert(text.includes(`*${panel}*`), panel);
    }
    for (const part of ['You see', 'It means', 'Do', 'It is over', 'Do not'])
      assert(section.includes(`**${part}**`), part);
  });
}

test('rules with shorter times are the same rules', () => {
  const short = shortRule({ alert: 'A', expr: 'rate(a{b="[5m]x"}[5m]) > 0.4 and increase(c[6h]) > 0', for: '5m' });
  assert.deepEqual(short, { alert: 'A', expr: 'rate(a{b="[5s]x"}[5s]) > 0.4 and increase(c[360s]) > 0', for: '5s' });
  assert.equal(shortRule({ alert: 'A', expr: 'a', for: '0s' }).for, '0s');
  assert.equal(shortRule({ alert: 'A', expr: 'a', for: '1m' }).for, '4s');
});
