// A generated mesh of any size: pods spread over services and nodes, a policy for two services in five, and a node of
// our own with a hundred pods. The same size gives the same mesh.
import type { MeshUpdate, Policy, Service, Workload } from '../src/model/types.ts';

export interface MeshSize {
  readonly workloads: number;
  readonly services: number;
  readonly policies: number;
}

/** The node that is measured. */
export const ownNode = 'scale-own';
export const ownPods = 100;
/** Of the own node. */
export const ownPodCidr = '10.0.0.0/24';
const podsPerNode = 100;
const namespaces = 200;
const domain = 'svc.cluster.local';

/** The whole mesh of `size`. The first hundred workloads are on the own node, each under an account of its own. */
export function meshOf(size: MeshSize): MeshUpdate {
  const { workloads, services, policies } = size;
  return {
    workloads: Array.from({ length: workloads }, (_, at) => workloadAt(at, size)),
    services: Array.from({ length: services }, (_, at) => serviceAt(at)),
    policies: Array.from({ length: policies }, (_, at) => policyAt(at, size)),
    removedAddresses: [],
    removedPolicies: [],
    complete: true,
  };
}

/** Pod number `at`: 10.x.y.z on one of many nodes, endpoint of one service. */
export function workloadAt(at: number, { services, policies }: MeshSize): Workload {
  const service = at % services;
  const namespace = namespaceOf(service);
  const name = `app-${service}-${at}`;
  const isOwn = at < ownPods;
  return {
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    name,
    namespace,
    addresses: [workloadAddress(at)],
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: isOwn ? `account-${at}` : `account-${service}`,
    node: isOwn ? ownNode : `scale-${Math.floor(at / podsPerNode)}`,
    canonicalName: `app-${service}`,
    canonicalRevision: 'v1',
    workloadType: 'deployment',
    workloadName: `app-${service}`,
    nativeTunnel: false,
    policies: service < policies ? [`${namespace}/policy-${service}`] : [],
    healthy: true,
    clusterId: 'Kubernetes',
    locality: { region: 'region', zone: `zone-${at % 3}`, subzone: '' },
    hostNetwork: false,
    capacity: 1,
    waypoint: null,
    services: {
      [`${namespace}/${hostnameOf(service)}`]: [{ servicePort: 80, targetPort: 8080, appProtocol: 'unknown' }],
    },
  };
}

/** Address of pod number `at`. */
export function workloadAddress(at: number): string {
  const host = at < ownPods ? at + 1 : at + 256;
  return `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`;
}

/** VIP of service number `at`. */
export function serviceAddress(at: number): string {
  return `172.16.${(at >> 8) & 255}.${at & 255}`;
}

function serviceAt(at: number): Service {
  return {
    name: `app-${at}`,
    namespace: namespaceOf(at),
    hostname: hostnameOf(at),
    addresses: [serviceAddress(at)],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'unknown' }],
    subjectAltNames: [],
    waypoint: null,
    loadBalancing: null,
    ipFamilies: 'automatic',
    canonical: true,
    visibility: 'public',
  };
}

function policyAt(at: number, { services }: MeshSize): Policy {
  const service = at % services;
  const from = (service + 1) % services;
  return {
    name: `policy-${at}`,
    namespace: namespaceOf(service),
    scope: 'workload',
    action: 'allow',
    dryRun: false,
    rules: [
      {
        clauses: [
          {
            matches: [
              {
                principals: [
                  { kind: 'exact', value: `cluster.local/ns/${namespaceOf(from)}/sa/account-${from}` },
                  { kind: 'exact', value: `cluster.local/ns/${namespaceOf(service)}/sa/account-${service}` },
                ],
              },
            ],
          },
          { matches: [{ destinationPorts: [8080] }] },
        ],
      },
    ],
  };
}

function namespaceOf(service: number): string {
  return `team-${service % namespaces}`;
}

function hostnameOf(service: number): string {
  return `app-${service}.${namespaceOf(service)}.${domain}`;
}
