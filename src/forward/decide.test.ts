import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import { MeshIndex } from '../model/mesh-index.ts';
import type { Service, Workload } from '../model/types.ts';
import { decideOutbound, type OutboundQuery } from './decide.ts';
import { pod, port, service, update } from './testing-mesh.ts';

const cartKey = 'shop/cart.shop.svc.cluster.local';
const endpoint = { services: { [cartKey]: [port(80, 8080)] } };
const web = pod('web', 'n1', '10.0.1.2');
const outsider = pod('legacy', 'n1', '10.0.1.9', { tunnelProtocol: 'NONE' });
const here = pod('cart-here', 'n1', '10.0.1.3', endpoint);
const there = pod('cart-there', 'n2', '10.0.2.3', endpoint);
const plain = pod('cart-plain', 'n2', '10.0.2.4', { ...endpoint, tunnelProtocol: 'NONE' });
const cart = service('cart', '10.96.0.1', [port(80, 8080)]);
const passthrough: Partial<Service> = {
  loadBalancing: { mode: 'passthrough', routingPreference: [], healthPolicy: 'onlyHealthy' },
};

const waypointKey = 'shop/wp.shop.svc.cluster.local';
const toWaypoint = { hostname: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' }, hbonePort: 15008 };
const guarded = [{ ...cart, waypoint: toWaypoint }, service('wp', '10.96.0.9', [port(15008, 15008)])];
const waypoint = pod('wp-1', 'n2', '10.0.2.9', {
  nativeTunnel: true,
  services: { [waypointKey]: [port(15008, 15008)] },
});

interface Row {
  readonly title: string;
  readonly endpoints?: readonly Workload[];
  readonly query?: Partial<OutboundQuery>;
  readonly services?: readonly Service[];
  /**
   * KIND ADDRESS:PORT, ` enforce` behind it where the policy is asked here, ` through` where it is a waypoint; or an
   * error code.
   */
  readonly expected: string;
}

const rows: readonly Row[] = [
  { title: 'service, endpoint on another node', endpoints: [there], expected: 'tunnel 10.0.2.3:8080' },
  { title: 'service, endpoint on this node', endpoints: [here], expected: 'same-node 10.0.1.3:8080 enforce' },
  {
    title: 'endpoint on this node, tunnel wanted',
    endpoints: [here],
    query: { sameNode: 'tunnel' },
    expected: 'tunnel 10.0.1.3:8080',
  },
  { title: 'endpoint outside the mesh', endpoints: [plain], expected: 'plain 10.0.2.4:8080' },
  {
    title: 'pod by its address, any port',
    endpoints: [there],
    query: { address: '10.0.2.3', port: 9999 },
    expected: 'tunnel 10.0.2.3:9999',
  },
  {
    title: 'pod of this node by its address',
    endpoints: [here],
    query: { address: '10.0.1.3', port: 9999 },
    expected: 'same-node 10.0.1.3:9999 enforce',
  },
  { title: 'itself by its address', query: { address: '10.0.1.2' }, expected: 'same-node 10.0.1.2:80 enforce' },
  {
    title: 'itself through its service',
    endpoints: [{ ...web, ...endpoint }],
    expected: 'same-node 10.0.1.2:8080 enforce',
  },
  { title: 'nothing of the mesh', query: { address: '192.0.2.1' }, expected: 'passthrough 192.0.2.1:80' },
  { title: 'a service without endpoints', expected: 'NO_ENDPOINT' },
  { title: 'only an unready endpoint', endpoints: [{ ...there, healthy: false }], expected: 'NO_ENDPOINT' },
  { title: 'a port that the service lacks', endpoints: [there], query: { port: 81 }, expected: 'NO_SUCH_PORT' },
  {
    title: 'all endpoints were tried',
    endpoints: [there],
    query: { exclude: new Set([there.uid]) },
    expected: 'NO_ENDPOINT',
  },
  {
    title: 'the other one is left',
    endpoints: [there, here],
    query: { exclude: new Set([there.uid]) },
    expected: 'same-node 10.0.1.3:8080 enforce',
  },
  {
    title: 'a service that wants no choice',
    services: [{ ...cart, ...passthrough }],
    endpoints: [there],
    expected: 'passthrough 10.96.0.1:80',
  },
  {
    title: 'source outside the mesh, enrolled pod of this node: its policy is asked here',
    endpoints: [here],
    query: { source: outsider },
    expected: 'plain 10.0.1.3:8080 enforce',
  },
  {
    title: 'source outside the mesh, enrolled pod elsewhere: the proxy there asks',
    endpoints: [there],
    query: { source: outsider },
    expected: 'plain 10.0.2.3:8080',
  },
  {
    title: 'a service with a waypoint, though an endpoint is here',
    services: guarded,
    endpoints: [here, waypoint],
    expected: 'tunnel 10.0.2.9:15008 through',
  },
  {
    title: 'a waypoint on this node is reached by tunnel too',
    services: guarded,
    endpoints: [here, { ...waypoint, node: 'n1' }],
    expected: 'tunnel 10.0.2.9:15008 through',
  },
  {
    title: 'a waypoint that is away is not gone around',
    services: guarded,
    endpoints: [here],
    expected: 'NO_ENDPOINT',
  },
  { title: 'a waypoint that nobody knows', services: [{ ...cart, waypoint: toWaypoint }], expected: 'NO_ENDPOINT' },
  {
    title: 'a waypoint by its address',
    services: [{ ...cart, waypoint: { address: { network: '', address: '10.0.2.9' }, hbonePort: 15008 } }],
    endpoints: [here, waypoint],
    expected: 'tunnel 10.0.2.9:15008 through',
  },
  {
    title: 'source outside the mesh goes around the waypoint of the service',
    services: guarded,
    endpoints: [there, waypoint],
    query: { source: outsider },
    expected: 'plain 10.0.2.3:8080',
  },
  {
    title: "a pod's own waypoint, when the pod is called by its address",
    services: guarded,
    endpoints: [{ ...there, waypoint: toWaypoint }, waypoint],
    query: { address: '10.0.2.3', port: 9999 },
    expected: 'tunnel 10.0.2.9:15008 through',
  },
  {
    title: "a pod's own waypoint, when the pod is called through a service: not used",
    endpoints: [{ ...there, waypoint: toWaypoint }, waypoint],
    expected: 'tunnel 10.0.2.3:8080',
  },
  {
    title: 'a waypoint by its own address, for its metrics',
    endpoints: [waypoint],
    query: { address: '10.0.2.9', port: 15020 },
    expected: 'plain 10.0.2.9:15020',
  },
];

for (const { title, endpoints = [], services = [cart], query = {}, expected } of rows) {
  test(title, () => {
    const index = new MeshIndex();
    index.apply(update({ workloads: [web, outsider, ...endpoints], services, complete: true }));
    const way = decideOutbound({
      index,
      source: web,
      address: '10.96.0.1',
      port: 80,
      nodeName: 'n1',
      sameNode: 'direct',
      exclude: new Set(),
      random: () => 0,
      ...query,
    });
    if (way instanceof MeshError) assert.equal(way.code, expected);
    else {
      const more = `${way.enforce ? ' enforce' : ''}${way.waypoint === null ? '' : ' through'}`;
      assert.equal(`${way.kind} ${way.address}:${way.port}${more}`, expected);
    }
  });
}
