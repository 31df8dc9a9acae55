// Every command that users look for is there, has an example, and prints JSON where it prints data; the page is in
// step.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { projectFile } from '../base/project-files.ts';
import { bareProgram, cliPage, commandsOf, examplesOf, helpOf } from './cli-page.ts';

const commands = commandsOf(bareProgram());

/** What other meshes' users expect of one, and what the contracts name. */
const expected = [
  ...['check', 'install', 'upgrade', 'uninstall', 'status', 'enroll', 'unenroll'],
  ...['waypoint apply', 'waypoint generate', 'waypoint list', 'waypoint status', 'waypoint delete'],
  ...['config workloads', 'config services', 'config policies', 'config certs', 'config connections', 'config routes'],
  ...['config all', 'why', 'analyze', 'simulate', 'edges', 'stat', 'top', 'tap', 'certs', 'log', 'sysdump', 'version'],
  ...['completion', 'lab up', 'lab down', 'lab list', 'lab status', 'lab exec', 'lab shell', 'lab apply', 'lab delete'],
  ...['lab get', 'lab logs', 'lab restart', 'lab token', 'lab fault cut', 'lab fault heal'],
];
/** They pass text through, or print a script or a path. */
const withoutJson = new Set(['sysdump', 'lab exec', 'lab shell', 'lab logs', 'completion', 'dashboard']);

test('every command of the contracts is there', () => {
  const there = commands.map(({ words }) => words);
  assert.deepEqual(
    expected.filter((words) => !there.includes(words)),
    [],
  );
});

for (const { words, command } of commands) {
  test(`${words}: a summary, an example of its own, JSON where it prints data`, () => {
    const help = helpOf(command);
    assert.notEqual(command.summary(), '');
    assert.notEqual(command.description(), '');
    assert.ok(
      examplesOf(help).some((line) => line.includes(`ambientctl ${words}`)),
      `add an example that begins with: ambientctl ${words}`,
    );
    if (withoutJson.has(words)) return;
    const formats = command.options.find(({ long }) => long === '--output')?.argChoices ?? [];
    assert.ok(formats.includes('json'), 'add -o json');
  });
}

test('a cluster is named everywhere as kubectl has it, and -A goes with -n', () => {
  for (const { words, command } of commands) {
    const has = (name: string): boolean => command.options.some(({ long, short }) => long === name || short === name);
    const isOfLabs = words.startsWith('lab ') || words === 'completion';
    if (!isOfLabs) assert.deepEqual([has('--kubeconfig'), has('--context')], [true, true], words);
    const narrowing = command.options.find(({ long }) => long === '--namespace');
    if (narrowing !== undefined && narrowing.defaultValue === undefined) assert.ok(has('-A'), words);
  }
});

test('docs/cli.md is what `npm run generate` writes', () => {
  assert.equal(readFileSync(projectFile('docs/cli.md'), 'utf8'), cliPage());
});
