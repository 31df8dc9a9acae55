// Services that lead nowhere, and ports whose protocol has to be guessed.
import { didYouMean } from '../base/nearest-name.ts';
import type { ServicePort, ServiceResource } from '../model/resources.ts';
import type { AnalyzedMesh, PodLike } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import { type Change, renamed } from './changes.ts';
import { labelsText, nearLabel } from './selectors.ts';

/** What the compiler reads a protocol from, in a port's name before its first hyphen. */
const namedProtocols: readonly string[] = [
  'http',
  'http2',
  'grpc',
  'tcp',
  'tls',
  'https',
  'grpc-web',
  'mongo',
  'mysql',
  'redis',
  'udp',
];

const addedProtocols: readonly string[] = ['http', 'http2', 'grpc', 'https', 'tls', 'tcp'];

/** Looks at each Service. */
export const services: Analyzer = (mesh, report) => {
  for (const service of mesh.of('Service')) {
    if (service.type === 'ExternalName' || service.selector === null) continue;
    const pods = mesh.podsOf(service);
    if (pods.length === 0) {
      const message = `selects no pod: none in namespace ${service.namespace} has ${labelsText(service.selector)}`;
      const fix = 'correct the labels; its clients get no endpoint';
      const { hint, change } = nearLabel(mesh, service.namespace, service.selector, ['spec', 'selector']);
      report(service, 'AMB1003', ['spec', 'selector'], message, `${fix}${hint}`, change);
      continue;
    }
    for (const [at, port] of service.ports.entries()) {
      if (port.protocol !== 'TCP') continue;
      reportTarget(service, port, at, pods, report);
      reportProtocol(mesh, service, port, at, report);
    }
  }
  reportSharedPorts(mesh, report);
};

/** A named target port that no container has: the pods are endpoints without that port. */
function reportTarget(
  service: ServiceResource,
  port: ServicePort,
  at: number,
  pods: readonly PodLike[],
  report: Report,
): void {
  if (typeof port.targetPort !== 'string') return;
  const names = new Set(pods.flatMap(({ spec }) => spec.ports.map(({ name }) => name)).filter(Boolean));
  if (names.has(port.targetPort)) return;
  const message = `targetPort ${port.targetPort} is the name of no container port of its pods`;
  const known = names.size === 0 ? 'they name none' : `they have ${[...names].join(', ')}`;
  const fix = `${known}${didYouMean(port.targetPort, names)}`;
  const path = ['spec', 'ports', at, 'targetPort'];
  report(service, 'AMB1004', path, message, fix, renamed(port.targetPort, names, path));
}

/** Behind a waypoint a guess costs the first bytes' time, and a server that speaks first has to wait for it. */
function reportProtocol(
  mesh: AnalyzedMesh,
  service: ServiceResource,
  port: ServicePort,
  at: number,
  report: Report,
): void {
  if (mesh.service(`${service.namespace}/${service.name}`)?.waypoint == null) return;
  if (port.appProtocol !== null || namedProtocols.some((one) => port.name === one || port.name.startsWith(`${one}-`)))
    return;
  const message = `the protocol of port ${port.port} is guessed from its first bytes, since nothing says it`;
  const fix = 'add appProtocol: http, kubernetes.io/h2c, grpc or tcp, or begin the name of the port with it';
  const path = ['spec', 'ports', at];
  report(service, 'AMB1005', path, message, fix, saidByName(port.name, path));
}

/** A name such as `web-http` says the protocol, only not where it is looked for. */
function saidByName(name: string, path: (string | number)[]): Change | null {
  const said = [...new Set(name.split('-').filter((word) => addedProtocols.includes(word)))];
  const [value] = said;
  return value === undefined || said.length > 1 ? null : { kind: 'entry', path, key: 'appProtocol', value };
}

/** One port of a pod that two Services call by different protocols (istioctl's IST0116). */
function reportSharedPorts(mesh: AnalyzedMesh, report: Report): void {
  const seen = new Map<string, { readonly service: ServiceResource; readonly protocol: string }>();
  for (const service of mesh.of('Service')) {
    for (const [at, port] of service.ports.entries()) {
      const protocol = port.appProtocol ?? port.name.split('-')[0] ?? '';
      if (protocol === '' || port.protocol !== 'TCP') continue;
      for (const pod of mesh.podsOf(service)) {
        const key = `${pod.resource.kind}/${pod.namespace}/${pod.resource.name}:${port.targetPort}`;
        const other = seen.get(key);
        if (other === undefined) seen.set(key, { service, protocol });
        else if (other.protocol !== protocol && other.service !== service) {
          const there = `${other.protocol} in Service ${other.service.name}`;
          const title = `${pod.resource.kind} ${pod.resource.name}`;
          const message = `port ${port.port} is ${protocol} here, and ${there}, for the same port of ${title}`;
          report(service, 'AMB1006', ['spec', 'ports', at], message, 'say the same protocol in both');
          return;
        }
      }
    }
  }
}
