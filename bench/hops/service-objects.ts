// The services of the bench as manifests: each with a canary, an endpoint, and the rules of `hop.ts` as a
// VirtualService.
import { type HopRule, hopRules, requestTimeoutMs, retryAttempts, weights } from './hop.ts';
import type { HopProtocol } from './tunnel-ends.ts';

/** What is called, per protocol. */
export const services = {
  http1: { name: 'shop', address: '10.96.0.1', canaryAddress: '10.96.1.1', portName: 'http' },
  http2: { name: 'calls', address: '10.96.0.2', canaryAddress: '10.96.1.2', portName: 'grpc' },
} as const satisfies Record<HopProtocol, unknown>;
export const servicePort = 80;

export interface ServiceObjectsOptions {
  readonly namespace: string;
  readonly protocol: HopProtocol;
  /** Where the one endpoint listens. */
  readonly endpoint: { readonly address: string; readonly port: number; readonly pod?: string };
  /** Of both Services. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Both services, their slices, and the routes. */
export function serviceObjects(options: ServiceObjectsOptions): unknown[] {
  const { namespace, protocol } = options;
  const { name, address, canaryAddress } = services[protocol];
  const canary = `${name}-canary`;
  const routes = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace },
    spec: { hosts: [name], http: hopRules.map((rule) => virtualRule(name, rule)) },
  };
  return [
    serviceOf(name, address, options),
    serviceOf(canary, canaryAddress, options),
    sliceOf(name, options),
    sliceOf(canary, options),
    routes,
  ];
}

function serviceOf(name: string, clusterIP: string, options: ServiceObjectsOptions): unknown {
  const { namespace, protocol, endpoint, labels } = options;
  const ports = [{ name: services[protocol].portName, port: servicePort, targetPort: endpoint.port }];
  const metadata = { name, namespace, ...(labels && { labels }) };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP, ports } };
}

function sliceOf(name: string, { namespace, protocol, endpoint: { address, port, pod } }: ServiceObjectsOptions) {
  const targetRef = pod === undefined ? {} : { targetRef: { kind: 'Pod', name: pod, namespace } };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: services[protocol].portName, port, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true }, ...targetRef }],
  };
}

function virtualRule(name: string, { path, header, method }: HopRule): unknown {
  const match = {
    ...(path && { uri: { [path.kind]: path.value } }),
    ...(header && { headers: { [header.name]: { [header.kind]: header.value } } }),
    ...(method && { method: { exact: method } }),
  };
  const to = (one: string, weight: number): unknown => ({ destination: { host: one }, weight });
  return {
    ...(Object.keys(match).length > 0 && { match: [match] }),
    route: [to(name, weights.stable), to(`${name}-canary`, weights.canary)],
    timeout: `${requestTimeoutMs}ms`,
    retries: { attempts: retryAttempts, retryOn: 'connect-failure,refused-stream,unavailable,cancelled' },
  };
}
