// The tables of waypoints, who uses one, and what refuses its deletion.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render } from './command.ts';
import type { OperableMesh } from './mesh.ts';
import { statusView } from './testing-fixtures.ts';
import { assertGolden } from './testing-golden.ts';
import { listResult, rowsOf, statusResult } from './waypoint.ts';

const gateway = (name: string, programmed: boolean, labels = {}) => ({
  metadata: { namespace: 'shop', name, labels },
  spec: { gatewayClassName: 'ambient-waypoint' },
  status: {
    addresses: programmed ? [{ value: '10.96.0.9' }] : [],
    conditions: [
      { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the waypoint is valid' },
      programmed
        ? { type: 'Programmed', status: 'True', reason: 'Programmed', message: 'a pod of it is ready' }
        : { type: 'Programmed', status: 'False', reason: 'Pending', message: 'no pod of it is ready' },
    ],
  },
});
const label = 'ambient.mesh/use-waypoint';
const objects: Readonly<Record<string, readonly object[]>> = {
  Gateway: [
    gateway('waypoint', true),
    gateway('slow', false, { 'ambient.mesh/waypoint-for': 'all' }),
    { ...gateway('ingress', true), spec: { gatewayClassName: 'nginx' } },
  ],
  Namespace: [{ metadata: { name: 'shop', labels: { [label]: 'waypoint' } } }],
  Service: [
    { metadata: { namespace: 'shop', name: 'cart', labels: { [label]: 'slow' } } },
    {
      metadata: {
        namespace: 'other',
        name: 'far',
        labels: { [label]: 'waypoint', [`${label}-namespace`]: 'shop' },
      },
    },
    { metadata: { namespace: 'other', name: 'near', labels: { [label]: 'waypoint' } } },
  ],
  Pod: [
    {
      metadata: {
        namespace: 'shop',
        name: 'waypoint-1',
        labels: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' },
      },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ],
  Deployment: [{ metadata: { namespace: 'shop', name: 'waypoint' }, spec: { replicas: 1 } }],
};
const proxy = { ...statusView.proxies[0]!, kind: 'waypoint' as const, name: 'waypoint-1' };
const mesh = {
  objects: async (kind: string) => objects[kind] ?? [],
  admin: async () => ({ ...statusView, proxies: [...statusView.proxies, proxy] }),
  logsCommand: () => '',
} as unknown as OperableMesh;

test('list and status: only waypoints, who uses them, and what is wrong', async () => {
  const rows = await rowsOf(mesh);
  assert.deepEqual(
    rows.map(({ name, usedBy }) => [name, usedBy]),
    [
      ['waypoint', ['namespace/shop', 'service/other/far']],
      ['slow', ['service/shop/cart']],
    ],
  );
  const status = statusResult(rows, undefined);
  assert.equal(status.exitCode, 1);
  assert.equal(statusResult(rows.slice(0, 1), undefined).exitCode, 0);
  for (const format of ['table', 'wide', 'json']) {
    assertGolden(`waypoint-status.${format}.txt`, await render(status, format));
    assertGolden(`waypoint-list.${format}.txt`, await render(listResult(rows, undefined), format));
  }
});

test('without a controller the objects still tell', async () => {
  const silent = { ...mesh, admin: () => Promise.reject(new Error('nobody')) } as unknown as OperableMesh;
  const [row] = await rowsOf(silent);
  assert.equal(row?.reason, 'the controller does not answer');
});
