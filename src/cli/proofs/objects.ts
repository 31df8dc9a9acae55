// What `ambientctl test` puts into the mesh: two namespaces, one of them enrolled, with clients and servers.
import type { Manifest } from '../../install/parts.ts';

/** On every object, so that what an earlier run left behind is known. */
export const testLabel = 'ambient.mesh/test';
/** The application of the lab, which a lab has without an image. */
export const labImage = 'ambient/echo';
/** In our image, beside the mesh's own programs. */
const programs = '/usr/lib/ambient/src/lab/echo';
const port = 8080;
const deafPort = 9099;
/** How long a pod that ends goes on serving: proxies have heard of its end by then. */
const stopAfter = '3s';

export interface ProofPlaces {
  readonly namespace: string;
  /** Outside the mesh. */
  readonly outside: string;
  readonly near: string;
  /** Another node, where there is one. */
  readonly far: string;
  readonly image: string;
}

/** Both namespaces. */
export function namespaces({ namespace, outside }: ProofPlaces): Manifest[] {
  return [
    manifest('v1', 'Namespace', '', namespace, {}, { 'ambient.mesh/dataplane-mode': 'ambient' }),
    manifest('v1', 'Namespace', '', outside, {}, { 'ambient.mesh/dataplane-mode': 'none' }),
  ];
}

/** Clients, servers, and the services before them. */
export function applications(places: ProofPlaces): Manifest[] {
  const { namespace, outside, near, far } = places;
  return [
    ...['client', 'near', 'far'].map((name) => manifest('v1', 'ServiceAccount', namespace, name, {})),
    manifest('v1', 'ServiceAccount', outside, 'stranger', {}),
    pod(places, namespace, 'client', near),
    pod(places, namespace, 'near', near, { tier: 'echo', pair: 'yes' }, 'near', port),
    pod(places, namespace, 'far', far, { tier: 'echo' }, 'far', deafPort),
    pod(places, outside, 'stranger', near),
    service(namespace, 'near', { app: 'near' }),
    service(namespace, 'far', { app: 'far' }),
    service(namespace, 'headless', { app: 'far' }, { clusterIP: 'None' }),
    service(namespace, 'echo', { tier: 'echo' }),
    service(namespace, 'pair', { pair: 'yes' }),
    // By the name of its port every other endpoint leads to where nobody listens.
    service(namespace, 'half', { tier: 'echo' }, {}, {}, 'half'),
  ];
}

/** The pod that ends while it is asked. */
export function leavingPod(places: ProofPlaces): Manifest {
  return pod(places, places.namespace, 'leaving', places.far, { pair: 'yes' }, 'near');
}

/** Refuses plaintext to the whole namespace. */
export function strict(namespace: string): Manifest {
  return manifest('security.istio.io/v1', 'PeerAuthentication', namespace, 'strict', {
    spec: { mtls: { mode: 'STRICT' } },
  });
}

/** Refuses whoever is of the namespace at `far`. */
export function denial(namespace: string): Manifest {
  const rules = [{ from: [{ source: { namespaces: [namespace] } }] }];
  const spec = { action: 'DENY', selector: { matchLabels: { app: 'far' } }, rules };
  return manifest('security.istio.io/v1', 'AuthorizationPolicy', namespace, 'nobody-to-far', { spec });
}

/** A waypoint, and what it does with requests for the service `echo`. */
export function waypoint(namespace: string): Manifest[] {
  const listeners = [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }];
  const backend = (name: string, weight = 1): object => ({ name, port: 80, weight });
  const rules = [
    { matches: [{ headers: [{ name: 'x-proof', value: 'far' }] }], backendRefs: [backend('far')] },
    {
      matches: [{ path: { type: 'PathPrefix', value: '/late' } }],
      timeouts: { request: '500ms' },
      backendRefs: [backend('near')],
    },
    { matches: [{ path: { type: 'PathPrefix', value: '/flaky' } }], backendRefs: [backend('half')] },
    { backendRefs: [backend('near', 90), backend('far', 10)] },
  ];
  const parentRefs = [{ group: '', kind: 'Service', name: 'echo', port: 80 }];
  const gateway = 'gateway.networking.k8s.io/v1';
  return [
    manifest(gateway, 'Gateway', namespace, 'waypoint', { spec: { gatewayClassName: 'ambient-waypoint', listeners } }),
    manifest(gateway, 'HTTPRoute', namespace, 'echo', { spec: { parentRefs, rules } }),
    service(namespace, 'echo', { tier: 'echo' }, {}, { 'ambient.mesh/use-waypoint': 'waypoint' }),
  ];
}

/** The words that run a client in a pod. */
export function clientCommand(image: string): readonly string[] {
  return isOfLab(image) ? ['client'] : ['/usr/bin/node', `${programs}/client-main.js`];
}

function isOfLab(image: string): boolean {
  return image === labImage || image.startsWith(`${labImage}:`);
}

function pod(
  { image }: ProofPlaces,
  namespace: string,
  name: string,
  node: string,
  labels: Readonly<Record<string, string>> = {},
  serviceAccountName = name,
  halfPort: number | null = null,
): Manifest {
  // The image of the mesh is told which of its programs is meant, and runs as nobody.
  const own = isOfLab(image)
    ? {}
    : {
        command: ['/usr/bin/node', `${programs}/main.js`],
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          runAsNonRoot: true,
          runAsUser: 65_532,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      };
  const half = halfPort === null ? [] : [{ name: 'half', containerPort: halfPort }];
  const container = {
    name: 'echo',
    image,
    args: [`--port=${port}`],
    ports: [{ name: 'http', containerPort: port }, ...half],
    env: [{ name: 'STOP_AFTER', value: stopAfter }],
    readinessProbe: { httpGet: { path: '/health', port }, periodSeconds: 1 },
    ...own,
  };
  const spec = {
    serviceAccountName,
    nodeSelector: { 'kubernetes.io/hostname': node },
    terminationGracePeriodSeconds: 10,
    containers: [container],
  };
  return manifest('v1', 'Pod', namespace, name, { spec }, { app: name, ...labels });
}

function service(
  namespace: string,
  name: string,
  selector: object,
  more: object = {},
  labels: Readonly<Record<string, string>> = {},
  targetPort: number | string = port,
): Manifest {
  const ports = [{ name: 'http', port: 80, targetPort, appProtocol: 'http' }];
  const families = { ipFamilyPolicy: 'PreferDualStack' };
  return manifest('v1', 'Service', namespace, name, { spec: { selector, ports, ...families, ...more } }, labels);
}

function manifest(
  apiVersion: string,
  kind: string,
  namespace: string,
  name: string,
  rest: object,
  labels: Readonly<Record<string, string>> = {},
): Manifest {
  const within = namespace === '' ? {} : { namespace };
  return { apiVersion, kind, metadata: { name, ...within, labels: { [testLabel]: 'true', ...labels } }, ...rest };
}
