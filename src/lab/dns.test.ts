// The cluster's DNS over real sockets, asked by Node's own resolver.
import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { DnsServer } from './dns.ts';
import { decodeQuery } from './dns-codec.ts';
import { addressOfReverse, DnsZone } from './dns-zone.ts';
import type { EndpointSlice, KubeObject } from './objects.ts';
import { ObjectStore } from './store.ts';

const podsOfMany = 120;

function slice(service: string, addresses: readonly string[], ready = true, hostname?: string): EndpointSlice {
  const labels = { 'kubernetes.io/service-name': service };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-${addresses[0] ?? 'none'}`, namespace: 'shop', labels },
    addressType: 'IPv4',
    endpoints: addresses.map((ip) => ({
      addresses: [ip],
      conditions: { ready },
      ...(hostname === undefined ? {} : { hostname }),
    })),
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  };
}

function service(name: string, spec: object): KubeObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

describe('cluster DNS', () => {
  const store = new ObjectStore({ dir: null, now: () => 0 });
  const zone = new DnsZone(store, 'cluster.local');
  const server = new DnsServer((name, type) => zone.answer(name, type));
  const resolver = new Resolver({ timeout: 2_000, tries: 1 });

  before(async () => {
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
    store.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
    store.put(service('web', { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7', 'fd00:10:96::7'], ports }));
    store.put(service('db', { clusterIP: 'None', ports }));
    store.put(slice('db', ['10.244.1.4'], true, 'db-0'));
    store.put(slice('db', ['10.244.1.5'], false, 'db-1'));
    store.put(service('many', { clusterIP: 'None', ports }));
    store.put(
      slice(
        'many',
        Array.from({ length: podsOfMany }, (_, index) => `10.244.9.${index + 1}`),
      ),
    );
    store.put(service('out', { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local.' }));
    const port = await server.start(['127.0.0.1'], 0);
    resolver.setServers([`127.0.0.1:${port}`]);
  });
  after(() => server.close());

  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => 'fine',
      (error: { code: string }) => error.code,
    );

  test('a service has its cluster addresses of both families', async () => {
    assert.deepEqual(await resolver.resolve4('web.shop.svc.cluster.local'), ['10.96.0.7']);
    assert.deepEqual(await resolver.resolve6('WEB.shop.svc.Cluster.Local'), ['fd00:10:96::7']);
  });

  test('a headless service has its ready endpoints, and each by its host name', async () => {
    assert.deepEqual(await resolver.resolve4('db.shop.svc.cluster.local'), ['10.244.1.4']);
    assert.deepEqual(await resolver.resolve4('db-0.db.shop.svc.cluster.local'), ['10.244.1.4']);
    assert.equal(await code(resolver.resolve4('db-1.db.shop.svc.cluster.local')), 'ENOTFOUND');
  });

  test('SRV names the port, and the host of a headless endpoint', async () => {
    const [web] = await resolver.resolveSrv('_http._tcp.web.shop.svc.cluster.local');
    assert.deepEqual([web?.port, web?.name], [80, 'web.shop.svc.cluster.local']);
    const [db] = await resolver.resolveSrv('_http._tcp.db.shop.svc.cluster.local');
    assert.deepEqual([db?.port, db?.name], [8080, 'db-0.db.shop.svc.cluster.local']);
  });

  test('PTR of a service address and of a headless endpoint', async () => {
    assert.deepEqual(await resolver.reverse('10.96.0.7'), ['web.shop.svc.cluster.local']);
    assert.deepEqual(await resolver.reverse('fd00:10:96::7'), ['web.shop.svc.cluster.local']);
    assert.deepEqual(await resolver.reverse('10.244.1.4'), ['db-0.db.shop.svc.cluster.local']);
    assert.equal(await code(resolver.reverse('10.99.99.99')), 'ENOTFOUND');
  });

  test('an answer that is too long for UDP comes over TCP', async () => {
    assert.equal((await resolver.resolve4('many.shop.svc.cluster.local')).length, podsOfMany);
  });

  test('no such name, no such record, not our zone: three answers that differ', async () => {
    assert.equal(await code(resolver.resolve4('nobody.shop.svc.cluster.local')), 'ENOTFOUND');
    assert.equal(await code(resolver.resolveTxt('web.shop.svc.cluster.local')), 'ENODATA');
    assert.equal(await code(resolver.resolve4('example.com')), 'EREFUSED');
  });

  test('an external name is an alias; a pod has a name of its address', async () => {
    assert.deepEqual(await resolver.resolveCname('out.shop.svc.cluster.local'), ['web.shop.svc.cluster.local']);
    assert.deepEqual(await resolver.resolve4('10-244-1-4.shop.pod.cluster.local'), ['10.244.1.4']);
  });

  test('whatever bytes come, decoding answers a query or null', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const query = decodeQuery(Buffer.from(bytes));
        if (query !== null) zone.answer(query.name, query.type);
      }),
    );
  });

  test('reverse names lead to their address and to nothing else', () => {
    assert.equal(addressOfReverse('4.3.2.1.in-addr.arpa'), '1.2.3.4');
    assert.equal(addressOfReverse('3.2.1.in-addr.arpa'), null);
    assert.equal(addressOfReverse('256.3.2.1.in-addr.arpa'), null);
    assert.equal(addressOfReverse('web.shop.svc.cluster.local'), null);
  });
});
