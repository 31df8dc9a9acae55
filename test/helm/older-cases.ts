// From chart 0.1.0 to today's, with the values of then: `older/` is what they were, and is never changed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { installManifests } from '../../src/install/manifests.ts';
import type { Manifest } from '../../src/install/parts.ts';
import { readValues } from '../../src/install/values.ts';
import { type Chart, objectsOf, withoutHelm } from './chart.ts';

const textOf = (name: string): string => readFileSync(path.join(import.meta.dirname, 'older', name), 'utf8');
const defaults = parse(textOf('values.yaml')) as { image: { tag: string } };
const wishes = parse(textOf('wishes.yaml')) as { image: object };
const before = parseAllDocuments(textOf('rendered.yaml')).map((one) => one.toJS() as Manifest);
const keyOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

/** What the API server refuses to change. */
const immutable: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec.selector'],
  DaemonSet: ['spec.selector'],
  RoleBinding: ['roleRef'],
  ClusterRoleBinding: ['roleRef'],
  Service: ['spec.clusterIP'],
};

/** Adds the tests; `chart` is there when they run. */
export function upgradeTests(chartOf: () => Chart): void {
  test('upgraded from 0.1.0 with --reuse-values, which hands over the defaults of then too', async () => {
    const reused = await chartOf().render({ values: wishes, defaults });
    assert.equal(reused.error, '');
    // The tag of the image was a default then, and so it stays: docs/install.md says what to do about it.
    const values = { ...wishes, image: { ...wishes.image, tag: defaults.image.tag } };
    const anew = await chartOf().render({ values });
    assert.deepEqual(objectsOf(reused), objectsOf(anew));
    for (const [name, value] of Object.entries({ networkPolicies: true, podMonitors: true })) {
      const note = `note: ${name}: ${value} is read as ${name}.enabled, which is what it is called since 0.2`;
      assert(reused.files.get('ambient/templates/NOTES.txt')!.includes(note), note);
    }
  });

  test('ambientctl makes the same of it, and says what is called differently', async () => {
    const notes: string[] = [];
    const file = { text: textOf('wishes.yaml'), file: 'wishes.yaml' };
    const values = await readValues({ files: [file], note: (text) => notes.push(text) });
    const made = JSON.parse(JSON.stringify(installManifests(values))) as Manifest[];
    const rendered = objectsOf(await chartOf().render({ values: wishes })).map(withoutHelm);
    const byKey = (objects: readonly Manifest[]) => Object.fromEntries(objects.map((one) => [keyOf(one), one]));
    assert.deepEqual(byKey(rendered), byKey(made.filter(({ kind }) => kind !== 'Namespace')));
    assert.deepEqual(notes, [
      'wishes.yaml: networkPolicies: true is read as networkPolicies.enabled, which is what it is called since 0.2',
      'wishes.yaml: podMonitors: true is read as podMonitors.enabled, which is what it is called since 0.2',
    ]);
  });

  test('nothing that 0.1.0 made goes, or has changed what must not change', async () => {
    const now = new Map(objectsOf(await chartOf().render({ values: wishes })).map((one) => [keyOf(one), one]));
    for (const object of before.filter(({ kind }) => kind !== 'Namespace')) {
      const today = now.get(keyOf(object)) ?? assert.fail(`${keyOf(object)} is gone`);
      for (const field of immutable[object.kind] ?? []) {
        const at = (one: unknown): unknown => {
          return field.split('.').reduce((each, step) => (each as Record<string, unknown> | undefined)?.[step], one);
        };
        assert.deepEqual(at(today), at(object), `${keyOf(object)} ${field}`);
      }
    }
    assert(before.length > 12);
  });
}
