import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FolderSource } from './folder-source.ts';
import type { SourceChange } from './mesh-source.ts';

const liveWithinMs = 1000;

function account(name: string, label = 'x'): string {
  return `apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: ${name}\n  labels: {l: ${label}}\n`;
}

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ambient-folder-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A started source, what it holds by now, and a way to wait for what it should hold. */
async function open(context: TestContext, ...paths: string[]) {
  const source = new FolderSource(paths);
  context.after(() => source.close());
  const held = new Map<string, string>();
  const changes: SourceChange[] = [];
  source.on('changed', (change) => {
    changes.push(change);
    for (const one of change.deletes) assert.ok(held.delete(one.name), `${one.name} was deleted but not there`);
    for (const one of change.upserts) held.set(one.name, one.labels['l'] ?? '');
  });
  await source.start();
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    const signal = AbortSignal.timeout(liveWithinMs);
    while (!isSo()) {
      const waits = [once(source, 'changed', { signal }), once(source, 'status', { signal })];
      for (const wait of waits) wait.catch(() => {});
      await Promise.race(waits).catch(() => assert.fail(`${what}: not within ${liveWithinMs} ms, holds ${[...held]}`));
    }
  };
  return { source, held, changes, until };
}

test('NetworkPolicies are for the linter, and a change of one is told', async (context) => {
  const folder = temporaryFolder(context);
  const policyWith = (port: number): string =>
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: shut, namespace: shop}\n' +
    `spec: {podSelector: {}, ingress: [{ports: [{port: ${port}}]}]}\n`;
  writeFileSync(join(folder, 'a.yaml'), account('a'));
  const { source, changes } = await open(context, folder);
  const told: string[] = [];
  const aside = source.followAside(() => told.push(JSON.stringify(aside.objects()[0]?.object['spec'] ?? null)));
  const next = () => once(source, 'aside', { signal: AbortSignal.timeout(20_000) });
  assert.deepEqual(aside.objects(), []);
  for (const port of [80, 15008]) {
    writeFileSync(join(folder, 'policy.yaml'), policyWith(port));
    while (!told.at(-1)?.includes(`"port":${port}`)) await next();
  }
  rmSync(join(folder, 'policy.yaml'));
  while (told.at(-1) !== 'null') await next();
  assert.equal(changes.length, 1);
  aside.close();
  assert.equal(source.listenerCount('aside'), 0);
});

test('what is there is read at start, and each change is live', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'a.yaml'), account('a'));
  writeFileSync(join(folder, 'notes.txt'), 'no manifest');
  writeFileSync(join(folder, '.hidden.yaml'), 'not: {read');
  const { held, until, source } = await open(context, folder);
  assert.deepEqual([...held.keys()], ['a']);
  writeFileSync(join(folder, 'b.yml'), account('b'));
  await until('a new file', () => held.has('b'));
  writeFileSync(join(folder, 'a.yaml'), account('a', 'y'));
  await until('a changed file', () => held.get('a') === 'y');
  mkdirSync(join(folder, 'deep/er'), { recursive: true });
  writeFileSync(
    join(folder, 'deep/er/c.json'),
    JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'c' } }),
  );
  await until('a file in a new folder', () => held.has('c'));
  writeFileSync(
    join(folder, 'deep/er/c.json'),
    JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'd' } }),
  );
  await until('another object in the file', () => held.has('d') && !held.has('c'));
  rmSync(join(folder, 'b.yml'));
  await until('a deleted file', () => !held.has('b'));
  rmSync(join(folder, 'deep'), { recursive: true });
  await until('a deleted folder', () => !held.has('d'));
  assert.deepEqual(source.views(), [{ path: folder, ok: true, error: null, ignored: [] }]);
});

test('a file replaced by rename is read, its temporary name is not', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'a.yaml'), account('a'));
  const { held, until } = await open(context, folder);
  for (const label of ['one', 'two', 'three']) {
    writeFileSync(join(folder, '.a.yaml.tmp'), account('a', label));
    renameSync(join(folder, '.a.yaml.tmp'), join(folder, 'a.yaml'));
    await until(`rename ${label}`, () => held.get('a') === label);
  }
});

test('a file moved to another name is no change of its objects', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'a.yaml'), account('a'));
  const { held, until } = await open(context, folder);
  renameSync(join(folder, 'a.yaml'), join(folder, 'z.yaml'));
  writeFileSync(join(folder, 'mark.yaml'), account('mark'));
  await until('the move', () => held.has('mark'));
  assert.ok(held.has('a'));
});

test('mounted files that Kubernetes swaps by a link are followed', async (context) => {
  const folder = temporaryFolder(context);
  for (const version of ['v1', 'v2']) {
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}/a.yaml`), account('a', version));
  }
  symlinkSync('..v1', join(folder, '..data'));
  symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
  const { held, until } = await open(context, folder);
  assert.equal(held.get('a'), 'v1');
  symlinkSync('..v2', join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  await until('the swap', () => held.get('a') === 'v2');
});

test('a broken file keeps what it said last and names the place until it is repaired', async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'a.yaml');
  writeFileSync(file, account('a', 'good'));
  writeFileSync(join(folder, 'b.yaml'), account('b'));
  const { held, until, source } = await open(context, folder);
  writeFileSync(file, 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: [a]\n');
  await until('the error', () => !source.views()[0]!.ok);
  assert.deepEqual(source.views()[0]!.error, {
    file,
    line: 4,
    column: 9,
    message: 'metadata.name must be a string, not a list',
  });
  assert.equal(held.get('a'), 'good');
  writeFileSync(join(folder, 'b.yaml'), account('b', 'new'));
  await until('a change elsewhere', () => held.get('b') === 'new');
  assert.equal(source.views()[0]!.ok, false);
  writeFileSync(file, account('a', 'repaired'));
  await until('the repair', () => held.get('a') === 'repaired');
  assert.equal(source.views()[0]!.ok, true);
});

test('an object that another file has is refused until that file lets it go', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'a.yaml'), account('same', 'first'));
  const { held, until, source } = await open(context, folder);
  writeFileSync(join(folder, 'b.yaml'), account('same', 'second'));
  await until('the error', () => !source.views()[0]!.ok);
  const error = source.views()[0]!.error!;
  assert.equal(error.file, join(folder, 'b.yaml'));
  assert.match(error.message, /ServiceAccount default\/same is there twice; the other one is at .*a\.yaml:1:1/);
  assert.equal(held.get('same'), 'first');
  rmSync(join(folder, 'a.yaml'));
  await until('the other one', () => held.get('same') === 'second' && source.views()[0]!.ok);
});

test('a path that is not there yet is read as soon as it is, a single file is watched', async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'later/one.yaml');
  const { held, until, source } = await open(context, file);
  assert.equal(source.views()[0]!.ok, false);
  mkdirSync(join(folder, 'later'));
  writeFileSync(file, account('a'));
  await until('the file', () => held.has('a') && source.views()[0]!.ok);
  writeFileSync(join(folder, 'later/two.yaml'), account('b'));
  writeFileSync(file, account('a', 'new'));
  await until('its change', () => held.get('a') === 'new');
  assert.ok(!held.has('b'));
});

test('unknown kinds are counted', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'a.yaml'), 'apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\n');
  const { source } = await open(context, folder);
  assert.deepEqual(source.views()[0]!.ignored, [{ kind: 'ConfigMap', count: 2 }]);
});

test('thousands of files: one change reads one file', async (context) => {
  const folder = temporaryFolder(context);
  const count = 3000;
  for (let at = 0; at < count; at++) {
    const object = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `n${at}`, labels: { l: 'old' } } };
    writeFileSync(join(folder, `${at}.json`), JSON.stringify(object));
  }
  const { held, until, changes } = await open(context, folder);
  assert.equal(held.size, count);
  changes.length = 0;
  writeFileSync(join(folder, '1234.json'), account('n1234', 'new'));
  await until('the change', () => held.get('n1234') === 'new');
  assert.deepEqual(
    changes.map((change) => [change.upserts.length, change.deletes.length]),
    [[1, 0]],
  );
});
