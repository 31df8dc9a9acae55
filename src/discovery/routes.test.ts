// Which waypoint gets the routes of which services, in which order with the services, and what of them is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { defaultServiceRoutes, noRoutes } from '../model/routes/route-defaults.ts';
import { serviceOf } from '../model/testing-mesh.ts';
import type { MeshUpdate, Service } from '../model/types.ts';
import { evaluate } from '../policy/evaluate.ts';
import { policiesOfService } from '../policy/service-policies.ts';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema, ResourceSchema } from './generated/ads_pb.ts';
import { ServiceRoutesSchema } from './generated/routes_pb.ts';
import { HeldResources } from './held-resources.ts';
import { ProxyStream } from './proxy-stream.ts';
import { ResourceTable } from './resource-table.ts';
import { decodeResource, encodeRoutes, encodeService, typeUrls } from './resources.ts';
import { RouteTables } from './route-tables.ts';

function behind(waypoint: string | null): Service {
  const hostname = { namespace: 'shop', hostname: `${waypoint}.shop.svc.cluster.local` };
  return serviceOf('shop/web', { waypoint: waypoint === null ? null : { hostname, hbonePort: 15008 } });
}

function change(part: Partial<MeshUpdate>): MeshUpdate {
  const nothing = { workloads: [], services: [], policies: [], removedAddresses: [], removedPolicies: [] };
  return { ...nothing, complete: false, ...part };
}

const key = 'shop/web.shop.svc.cluster.local';
const routes = defaultServiceRoutes(behind(null));
const names = (tables: RouteTables, waypoint: string) => [...tables.of(waypoint).names()];

test('routes are with the waypoint of their service, wherever that goes', () => {
  const tables = new RouteTables();
  assert.equal(tables.update(change({ routes: [routes] })), false, 'no waypoint, nobody to tell');
  assert.equal(tables.update(change({ services: [behind('a')] })), true);
  assert.deepEqual([names(tables, 'shop/a'), names(tables, 'shop/b')], [[key], []]);
  assert.equal(tables.update(change({ services: [behind('a')], routes: [routes] })), false, 'nothing is new');
  tables.update(change({ services: [behind('b')] }));
  assert.deepEqual([names(tables, 'shop/a'), names(tables, 'shop/b')], [[], [key]]);
  assert.equal(tables.update(change({ removedRoutes: [key] })), true);
  assert.deepEqual(names(tables, 'shop/b'), []);
  tables.update(change({ routes: [routes] }));
  assert.deepEqual(names(tables, 'shop/b'), [key]);
  tables.update(change({ removedAddresses: [key] }));
  assert.deepEqual([names(tables, 'shop/b'), tables.size], [[], 0]);
});

test('what judges calls to pods is with the waypoint itself, whose service has none', () => {
  const tables = new RouteTables();
  const own = 'shop/a.shop.svc.cluster.local';
  const forPods = { ...noRoutes(own), podsOf: 'shop/a' };
  assert.equal(tables.update(change({ routes: [forPods] })), true);
  assert.deepEqual([names(tables, 'shop/a'), names(tables, 'shop/b')], [[own], []]);
  tables.update(change({ services: [{ ...behind(null), name: 'a', hostname: 'a.shop.svc.cluster.local' }] }));
  assert.deepEqual(names(tables, 'shop/a'), [own]);
  assert.equal(tables.update(change({ removedRoutes: [own] })), true);
  assert.deepEqual(names(tables, 'shop/a'), []);
});

test('a whole mesh takes away what it does not name', () => {
  const tables = new RouteTables();
  tables.update(change({ services: [behind('a')], routes: [routes] }));
  assert.equal(tables.update(change({ services: [behind('a')], routes: [], complete: true })), true);
  assert.deepEqual(names(tables, 'shop/a'), []);
});

test('a waypoint has the routes before the service, and loses them after it', async () => {
  const addresses = new ResourceTable();
  const served = new RouteTables();
  served.update(change({ services: [behind('a')], routes: [routes] }));
  addresses.upsert(encodeService(behind('a')));
  const tables = new Map([
    [typeUrls.address, addresses],
    [typeUrls.authorization, new ResourceTable()],
    [typeUrls.routes, served.of('shop/a')],
  ]);
  const node = {
    kind: 'waypoint',
    name: 'wp-1',
    namespace: 'shop',
    nodeName: 'n',
    addresses: [],
    clusterId: '',
    version: '',
  } as const;
  const stream = new ProxyStream(node, tables, () => 0, { pushed: () => {}, answered: () => {} });
  const said: string[] = [];
  for (const typeUrl of [typeUrls.authorization, typeUrls.routes, typeUrls.address]) {
    stream.receive(create(DeltaDiscoveryRequestSchema, { typeUrl }));
  }
  const take = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) {
      const response = await stream.next();
      const { typeUrl, nonce, resources, removedResources } = response!;
      const kind = typeUrl.slice(typeUrl.lastIndexOf('.') + 1);
      said.push(...resources.map(() => `${kind} +`), ...removedResources.map(() => `${kind} -`));
      stream.receive(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce }));
    }
  };
  await take(3);
  assert.deepEqual(said.splice(0), ['ServiceRoutes +', 'Address +']);
  assert.deepEqual(
    stream.typeViews().map(({ type }) => type),
    ['istio.security.Authorization', 'ambient.mesh.v1alpha1.ServiceRoutes', 'istio.workload.Address'],
  );
  served.update(change({ services: [behind('b')] }));
  addresses.upsert(encodeService(behind('b')));
  stream.noteChange();
  stream.wake();
  await take(2);
  assert.deepEqual(said, ['Address +', 'ServiceRoutes -']);
  assert.equal(stream.behindSinceMs, null);
});

test('routes that travel are the same; others are refused by name', () => {
  const { typeUrl, name, version } = { typeUrl: typeUrls.routes, name: key, version: '1' };
  const read = (value: Uint8Array) =>
    decodeResource(typeUrl, create(ResourceSchema, { name, version, resource: { typeUrl, value } }));
  assert.deepEqual(read(encodeRoutes(routes).bytes), { kind: 'routes', value: routes });
  for (const json of [
    '',
    '[]',
    '{}',
    'null',
    JSON.stringify({ ...routes, ports: [{ port: 80, rules: [], entries: [{ rule: 0 }] }] }),
  ]) {
    const bytes = toBinary(ServiceRoutesSchema, create(ServiceRoutesSchema, { json: Buffer.from(json) }));
    assert.throws(() => read(bytes), /shop\/web|routes/, json);
  }
  const another = encodeRoutes({ ...routes, service: 'shop/other' }).bytes;
  assert.throws(() => read(another), /shop\/other/);
});

test('a service whose routes cannot be read is closed, until they can', () => {
  const held = new HeldResources({});
  const value = toBinary(ServiceRoutesSchema, create(ServiceRoutesSchema, { json: Buffer.from('{}') }));
  const resource = create(ResourceSchema, { name: key, version: '1', resource: { typeUrl: typeUrls.routes, value } });
  const response = create(DeltaDiscoveryResponseSchema, { typeUrl: typeUrls.routes, resources: [resource] });
  const { update, refused } = held.decode(response);
  assert.deepEqual(
    refused.map((one) => one.resource),
    [key],
  );
  const effective = policiesOfService(update.routes?.[0] ?? null);
  const facts = { sourceIdentity: null, sourceIp: '10.0.0.1', destinationIp: '10.0.0.2', destinationPort: 80 };
  assert.equal(evaluate(effective, facts).allowed, false);
  held.accept(response, refused);
  assert.deepEqual(held.versionsOf(typeUrls.routes), { [key]: 'stand-in' });
});
