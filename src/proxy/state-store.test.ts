import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import type { IssuedCertificate } from '../identity/certificate-manager.ts';
import { createLogger } from '../telemetry/logger.ts';
import { jsonPieces, StateFile } from './state-files.ts';
import { downtimeMaxMs, StateStore, type StateStoreOptions } from './state-store.ts';

function folderFor(t: { after: (fn: () => void) => void }): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-state-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return path.join(folder, 'state');
}

const certificate = (identity: string, notAfterMs: number): IssuedCertificate => ({
  identity,
  keyPem: 'KEY',
  chainPem: ['LEAF'],
  rootsPem: ['ROOT'],
  notBeforeMs: 0,
  notAfterMs,
});

function store(folder: string, change: Partial<StateStoreOptions> = {}): StateStore {
  return new StateStore({
    folder,
    nodeName: 'n1',
    clusterId: 'c1',
    clock: systemClock,
    log: createLogger({ level: 'silent', format: 'json' }),
    mesh: () => ({ workloads: [], services: [], policies: [], revocations: [], held: { t: { a: '1' } } }),
    certificates: () => [certificate('spiffe://a', Date.now() + 60_000), certificate('spiffe://old', 1)],
    mayHoldKeys: true,
    ...change,
  });
}

async function save(folder: string, change: Partial<StateStoreOptions> = {}): Promise<void> {
  const saved = store(folder, change);
  saved.meshChanged();
  saved.certificatesChanged();
  await saved.close();
}

test('what was saved is there after a restart, certificates out of date are not', async (t) => {
  const folder = folderFor(t);
  await save(folder);
  const again = store(folder);
  assert.deepEqual(again.loadMesh()?.held, { t: { a: '1' } });
  assert.deepEqual(
    again.loadCertificates().map(({ identity }) => identity),
    ['spiffe://a'],
  );
  await again.close();
});

test('files are for their owner only, and no draft is left', async (t) => {
  const folder = folderFor(t);
  await save(folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(folder).sort(), ['certificates.json', 'mesh.json']);
  for (const name of readdirSync(folder)) assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600);
});

test('no key gets to a folder that may be on a disk', async (t) => {
  const folder = folderFor(t);
  await save(folder, { mayHoldKeys: false });
  assert.deepEqual(readdirSync(folder), ['mesh.json']);
});

test('a state of another node, or of too long ago, is not used', async (t) => {
  const folder = folderFor(t);
  await save(folder);
  const other = store(folder, { nodeName: 'n2' });
  assert.equal(other.loadMesh(), null);
  await other.close();
  const longAgo = (Date.now() - downtimeMaxMs - 60_000) / 1000;
  utimesSync(path.join(folder, 'mesh.json'), longAgo, longAgo);
  const late = store(folder);
  assert.equal(late.loadMesh(), null);
  await late.close();
});

const damages: Record<string, (text: string) => string> = {
  'cut off': (text) => text.slice(0, -5),
  'a bit turned': (text) => text.replace('"one"', '"two"'),
  'of another layout': (text) => text.replace('"version":1', '"version":9'),
  empty: () => '',
};
for (const [name, damage] of Object.entries(damages)) {
  test(`a damaged file counts as none: ${name}`, async (t) => {
    const folder = folderFor(t);
    const file = new StateFile<{ text: string }>(folder, 'x.json');
    await file.write({ text: 'one' });
    assert.equal(file.read()?.value.text, 'one');
    const place = path.join(folder, 'x.json');
    writeFileSync(place, damage(readFileSync(place, 'utf8')));
    assert.equal(file.read(), null);
  });
}

test('what is written in pieces is what JSON.stringify writes', () => {
  const list = Array.from({ length: 1_234 }, (_, at) => ({ at, text: `ü"${at}`, list: [at] }));
  for (const value of [
    {},
    [],
    null,
    'x',
    { a: undefined, b: {}, c: { d: [] } },
    { list, held: { a: { b: 'c' } } },
    list,
  ]) {
    assert.equal([...jsonPieces(value)].join(''), JSON.stringify(value));
  }
});
