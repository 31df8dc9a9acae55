import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { parseNodeConfig } from '../config/node.ts';
import { createLogger } from '../telemetry/logger.ts';
import { MeshKeeper } from './mesh-keeper.ts';
import { StateStore } from './state-store.ts';

const log = createLogger({ level: 'silent', format: 'json' });
const web = 'spiffe://cluster.local/ns/shop/sa/web';

test('what was revoked is revoked after a restart too, before the controller is reached', async (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-mesh-keeper-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const revocation = {
    namespace: 'ambient-system',
    name: 'stolen',
    serials: ['7f'],
    identities: [{ identity: web, issuedBeforeMs: 5_000 }],
  };
  const open = (): StateStore =>
    new StateStore({
      folder,
      nodeName: 'n1',
      clusterId: 'c1',
      clock: systemClock,
      log,
      mesh: () => ({ workloads: [], services: [], policies: [], revocations: [revocation], held: {} }),
      certificates: () => [],
    });
  const store = open();
  store.meshChanged();
  await store.close();

  const next = open();
  const saved = next.loadMesh();
  const node = { kind: 'node', name: 'p', namespace: 's', nodeName: 'n1', addresses: [], clusterId: '' } as const;
  const keeper = new MeshKeeper({
    config: parseNodeConfig('{nodeName: n1, capture: {backend: none}}', 'node.yaml'),
    proxy: { ...node, version: '' },
    saved,
    clock: systemClock,
    random: Math.random,
    log,
    onMesh: () => {},
    onRevocations: () => assert.fail('nothing has changed'),
    onLocalPods: () => Promise.resolve(),
    onState: () => {},
  });
  const found = keeper.revocations.find({ serial: '1', uris: [web], notBeforeMs: 4_999 });
  assert.equal(found, 'ambient-system/stolen');
  await Promise.all([keeper.close(), next.close()]);
});
