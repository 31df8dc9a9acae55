// What Istio's pages on destinations have readers apply: read and obeyed, or refused by name.
import assert from 'node:assert/strict';
import { type Page, testDocuments } from './testing-documents.ts';

const services: Page = ['reference-services', 0, 1, 2, 3, 4, 5, 6];

testDocuments([
  {
    title: 'a subset with its own balancer',
    pages: [services, ['istio-destination-rule', 0]],
    check: (compiled) => {
      const { policy, subsets } = compiled.routes('ratings.prod').destination;
      const [subset] = subsets;
      assert.deepEqual(
        [policy.loadBalancing.algorithm, subset?.labels, subset?.policy.loadBalancing.algorithm],
        ['least-request', { version: 'v3' }, 'round-robin'],
      );
    },
  },
  {
    title: 'ports with their own',
    pages: [services, ['istio-destination-rule', 1]],
    check: (compiled) => {
      const { portPolicies } = compiled.routes('ratings.prod').destination;
      assert.deepEqual(
        portPolicies.map(({ port, policy }) => [port, policy.loadBalancing.algorithm]),
        [
          [80, 'least-request'],
          [9080, 'round-robin'],
        ],
      );
    },
  },
  {
    title: 'a rule of one client is refused, and so is TLS of its own',
    pages: [services, ['istio-destination-rule', 2]],
    findings: [/workloadSelector is not supported/, /tls is not supported: TLS of mode MUTUAL/],
    check: (compiled) => assert.deepEqual(compiled.routes('ratings.prod').destination.policy.from, []),
  },
  {
    title: 'a cookie of the session',
    pages: [services, ['istio-destination-rule', 3]],
    check: (compiled) => {
      const { hash } = compiled.routes('ratings.prod').destination.policy.loadBalancing;
      assert.deepEqual(hash?.key, { kind: 'cookie', name: 'user', path: '', ttlMs: 0 });
    },
  },
  {
    title: 'connections to redis; keep-alives are the tunnels’ own',
    pages: [services, ['istio-destination-rule', 4]],
    findings: [/tcpKeepalive is not supported: the tunnels between proxies have keep-alives of their own/],
    check: (compiled) => {
      const { maxConnections, connectTimeoutMs } = compiled.routes('myredissrv.prod').destination.policy.connectionPool;
      assert.deepEqual([maxConnections, connectTimeoutMs], [100, 30]);
    },
  },
  {
    title: 'breakers',
    pages: [services, ['istio-destination-rule', 5]],
    check: (compiled) => {
      const { connectionPool, outlier } = compiled.routes('reviews.prod').destination.policy;
      const { maxConnections, maxRequests, maxRequestsPerConnection } = connectionPool;
      assert.deepEqual([maxConnections, maxRequests, maxRequestsPerConnection], [100, 1000, 10]);
      assert.deepEqual(
        [outlier?.consecutive5xx, outlier?.intervalMs, outlier?.baseEjectionMs, outlier?.maxEjectionMs],
        [7, 300_000, 900_000, 900_000],
      );
    },
  },
  {
    title: 'TLS to a database',
    pages: [services, ['istio-destination-rule', 6]],
    findings: [/warning DestinationRule db-mtls: tls is not supported: TLS of mode MUTUAL is not begun by waypoints/],
  },
  {
    title: 'TLS to hosts that are not in the mesh',
    pages: [services, ['istio-destination-rule', 7]],
    findings: [/tls is not supported: TLS of mode SIMPLE/],
  },
  { title: 'the mesh’s own TLS, which there is anyway', pages: [services, ['istio-destination-rule', 8]] },
  {
    title: 'failover to a region',
    pages: [['istio-locality', 0, 1]],
    check: (compiled) => {
      const { loadBalancing, outlier } = compiled.routes('helloworld.sample').destination.policy;
      assert.deepEqual(loadBalancing.localities, { distribute: [], failover: [{ from: 'region1', to: 'region2' }] });
      assert.deepEqual([loadBalancing.algorithm, outlier?.consecutive5xx], ['round-robin', 1]);
    },
  },
  {
    title: 'distribution over zones',
    pages: [['istio-locality', 0, 2]],
    check: (compiled) => {
      const to = [
        ['region1/zone1/*', 70],
        ['region1/zone2/*', 20],
        ['region3/zone4/*', 10],
      ];
      const { localities } = compiled.routes('helloworld.sample').destination.policy.loadBalancing;
      assert.deepEqual(localities, { failover: [], distribute: [{ from: 'region1/zone1/*', to }] });
    },
  },
  {
    title: 'awareness of zones by its newer name',
    pages: [services, ['istio-destination-rule', 9]],
    findings: [/zoneAwareLbSetting is not supported: use localityLbSetting/],
  },
]);
