// The whole ways of part c, between two pods on two nodes: ours through both node proxies and the waypoint, and a pair
// of
// Envoy sidecars. Everything is what a user runs: ours the real programs, captured by nftables, with metrics and access
// logs; the sidecars in the pods' own network namespaces, called by name, without the redirection that a mesh would
// have.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { gatewayNameLabel, waypointPort } from '../../src/model/waypoints.ts';
import { probe } from '../load.ts';
import { startNodeProxies } from '../paths/ambient.ts';
import {
  type ControlPlane,
  isReady,
  nodeName,
  podNames,
  podNamespace,
  podOf,
  startControlPlane,
  startProgram,
} from '../paths/control-plane.ts';
import { serverConfig } from '../paths/nginx.ts';
import { serverPort } from '../paths/path.ts';
import { eventually, Service } from '../processes.ts';
import {
  addWaypointPod,
  gatewayOn,
  makeTopology,
  serverAddress,
  type Topology,
  type WaypointPod,
} from '../topology.ts';
import { type EnvoySide, startEnvoyHttp } from './envoy-http.ts';
import { type HopContext, hopRules, type RunningHop, type StartHop } from './hop.ts';
import { serviceObjects, servicePort, services } from './service-objects.ts';
import { protocols } from './tunnel-ends.ts';

/** Where nginx listens in the server pod. */
const wayPorts = { http1: serverPort, http2: 8081 } as const;
/** Of the sidecars: towards the application in the client pod, and towards the mesh in the server pod. */
const sidecarPorts = { out: { http1: 15001, http2: 15002 }, in: { http1: 15006, http2: 15007 } } as const;
const networks = { sidecars: 0, mesh: 1, waypoint: 2 } as const;
const readyTimeoutMs = 60_000;
const waypointName = 'waypoint';
const waypointVip = '10.96.2.1';

/** Takes each process as soon as it runs, so that it is stopped whatever happens next. */
type Keep = (service: Service) => void;

/** The network `name` with nginx in its server pod. */
async function startNetwork(name: keyof typeof networks, dir: string, keep: Keep): Promise<Topology> {
  const topology = makeTopology(name, networks[name]);
  const words = serverConfig(dir, `${serverAddress}:${wayPorts.http1}`, `${serverAddress}:${wayPorts.http2}`);
  const server = new Service({ name: 'nginx', netns: topology.server, words, logFile: path.join(dir, 'nginx.log') });
  keep(server);
  const url = `http://${serverAddress}:${wayPorts.http1}`;
  await eventually('nginx', readyTimeoutMs, [server], () => probe(topology.server, url));
  return topology;
}

/** A pair of Envoy sidecars from the binary at `binary`: the client's has the rules, the server's one route. */
export const startSidecars =
  (binary: string, keep: Keep): StartHop =>
  async ({ dir, certificates }) => {
    const topology = await startNetwork('sidecars', dir, keep);
    const { client, server } = certificates;
    const out = (protocol: keyof typeof wayPorts): EnvoySide => ({
      listen: ['127.0.0.1', sidecarPorts.out[protocol]],
      server: [serverAddress, sidecarPorts.in[protocol]],
      tls: { in: null, out: client },
    });
    const into = (protocol: keyof typeof wayPorts): EnvoySide => ({
      listen: [serverAddress, sidecarPorts.in[protocol]],
      server: [serverAddress, wayPorts[protocol]],
      tls: { in: server, out: null },
    });
    const [outbound, inbound] = [out, into].map((side) => ({ http1: side('http1'), http2: side('http2') }));
    const proxies = [
      { name: 'envoy-client', baseId: 13, netns: topology.client, sides: outbound!, rules: hopRules },
      { name: 'envoy-server', baseId: 14, netns: topology.server, sides: inbound!, rules: null },
    ].map((each) => {
      const service = startEnvoyHttp({ binary, dir, ...each });
      keep(service);
      return service;
    });
    const [http1, http2] = protocols.map((protocol) => `http://127.0.0.1:${sidecarPorts.out[protocol]}`);
    const hop = { name: 'envoy-sidecars', http1: http1!, http2: http2!, netns: topology.client };
    return { ...hop, proxies, waypoint: null, services: proxies };
  };

/** Our node proxies and the waypoint, with `nodeFlags`, and the controller that they follow. */
export const startWaypointWay =
  (nodeFlags: readonly string[], keep: Keep): StartHop =>
  async (context): Promise<RunningHop> => {
    const { dir } = context;
    const topology = await startNetwork('mesh', dir, keep);
    const pod = addWaypointPod('mesh', topology, networks.waypoint);
    const uid = randomUUID();
    const controlPlane = await startControlPlane({
      dir,
      serverNames: [...topology.controlAddresses, pod.controlAddress],
      keep,
      objects: objectsOf(pod, uid),
      admitted: waypointName,
      admittedPorts: Object.values(wayPorts),
    });
    const nodeProxies = await startNodeProxies({ controlPlane, nodeFlags, keep }, dir, topology);
    const waypoint = startWaypoint(context, controlPlane, pod, uid, nodeFlags);
    keep(waypoint);
    await eventually('ambient-waypoint', readyTimeoutMs, [waypoint], () => isReady(gatewayOn(pod.controlAddress)));
    const proxies = [...nodeProxies, waypoint];
    const [http1, http2] = protocols.map((protocol) => `http://${services[protocol].address}:${servicePort}`);
    const hop = { name: 'ambient-waypoint', http1: http1!, http2: http2!, netns: topology.client };
    return { ...hop, proxies, waypoint, services: proxies };
  };

function startWaypoint(
  { dir }: HopContext,
  controlPlane: ControlPlane,
  { netns, controlAddress }: WaypointPod,
  uid: string,
  nodeFlags: readonly string[],
): Service {
  const tokenFile = path.join(dir, 'token-waypoint');
  controlPlane.writeToken(tokenFile, {
    namespace: podNamespace,
    account: waypointName,
    name: waypointName,
    uid,
    node: 'b',
  });
  const config = {
    namespace: podNamespace,
    name: waypointName,
    podName: waypointName,
    nodeName: nodeName('b'),
    controllerUrl: `https://${controlAddress}:15012`,
    controllerRootsFile: controlPlane.rootsFile,
    tokenFile,
    stateDir: path.join(dir, 'state-waypoint'),
    threads: 1,
    log: { format: 'json', access: 'on', accessFile: path.join(dir, 'access-waypoint.log') },
  };
  return startProgram({ dir, name: 'ambient-waypoint', netns, config, nodeFlags });
}

/** The Gateway, the pod and the Service of the waypoint, and the services behind it. */
function objectsOf({ address }: WaypointPod, uid: string): unknown[] {
  const metadata = { name: waypointName, namespace: podNamespace };
  const labels = { [gatewayNameLabel]: waypointName };
  const mesh = { name: 'mesh', port: waypointPort };
  const behind = { 'ambient.mesh/use-waypoint': waypointName };
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata,
      spec: { gatewayClassName: 'ambient-waypoint', listeners: [{ ...mesh, protocol: 'HBONE' }] },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    podOf({
      on: 'b',
      name: waypointName,
      address,
      uid,
      labels: { ...labels, 'ambient.mesh/dataplane-mode': 'none' },
    }),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...metadata, labels },
      spec: { clusterIP: waypointVip, selector: labels, ports: [{ ...mesh, targetPort: waypointPort }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': waypointName } },
      addressType: 'IPv4',
      ports: [{ ...mesh, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: [address],
          conditions: { ready: true },
          targetRef: { kind: 'Pod', name: waypointName, namespace: podNamespace },
        },
      ],
    },
    ...protocols.flatMap((protocol) => {
      const endpoint = { address: serverAddress, port: wayPorts[protocol], pod: podNames.b };
      return serviceObjects({ namespace: podNamespace, protocol, endpoint, labels: behind });
    }),
  ];
}
