// For tests: an HTTP service between real sockets on loopback. Endpoints are servers that the test gives; the service
// is `shop/cart`, port 80, and its rules are what the test says.
import {
  type Agent,
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  request,
  type Server,
} from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import type { TestContext } from 'node:test';
import { connectTcp } from '../../io/connect-tcp.ts';
import { createTcpServer } from '../../io/listen-tcp.ts';
import { MeshIndex } from '../../model/mesh-index.ts';
import { matchAnything, noEdits } from '../../model/route-resources.ts';
import type {
  DestinationPolicy,
  PathMatch,
  RetryPolicy,
  RouteRule,
  ServiceRoutes,
  WeightedBackend,
} from '../../model/route-types.ts';
import { defaultRetry, noTimeouts, plainRule, wholeBackend } from '../../model/routes/route-defaults.ts';
import { serviceOf, workloadOf } from '../../model/testing-mesh.ts';
import type { AppProtocol, Service, Workload } from '../../model/types.ts';
import type { RequestRecord } from '../../telemetry/access-record.ts';
import { RequestCounters } from '../../telemetry/request-counters.ts';
import { destinationPolicyOf } from '../testing-requests.ts';
import type { ClientInfo, ConnectEndpoint, HttpService, HttpServiceContext } from './context.ts';
import { defaultHttpLimits, type HttpLimits } from './limits.ts';
import { createHttpService } from './service.ts';

export interface SceneOptions {
  readonly endpoints: readonly (RequestListener | NetServer)[];
  readonly rule?: Partial<RouteRule>;
  readonly path?: PathMatch | null;
  readonly policy?: Partial<DestinationPolicy>;
  /** Names of endpoints (`cart-0`, …) that are subsets of their own. */
  readonly subsets?: readonly string[];
  readonly serverTiming?: boolean;
  readonly tracePercent?: number;
  readonly limits?: Partial<HttpLimits>;
  readonly context?: Partial<HttpServiceContext>;
  /** Of the service's port. */
  readonly protocol?: AppProtocol;
  /** Stands between the service and `connectTcp`. */
  readonly connect?: (connect: ConnectEndpoint) => ConnectEndpoint;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

export interface Scene {
  readonly service: HttpService;
  readonly records: RequestRecord[];
  readonly counters: RequestCounters;
  readonly port: number;
  readonly index: MeshIndex;
  readonly workloads: readonly Workload[];
  /** The routes may be replaced. */
  setRules(rules: readonly RouteRule[]): void;
  ask(target: string, options?: AskOptions): Promise<Answer>;
}

export const cartService = serviceOf('shop/cart', { addresses: ['10.96.0.1'] });
export const cartKey = 'shop/cart.shop.svc.cluster.local';

/** A rule that forwards to the service, but for what is given. */
export function ruleOf(given: Partial<RouteRule> = {}): RouteRule {
  const origin = { kind: 'HTTPRoute', namespace: 'shop', name: 'cart', rule: 0, ruleName: null, place: null } as const;
  return { ...plainRule(origin, [backendOf()]), ...given };
}

/** A backend that gets all requests, but for what is given. */
export function backendOf(given: Partial<WeightedBackend> = {}): WeightedBackend {
  return { ...wholeBackend(cartKey, 80), ...given };
}

/** A policy of a route, with short waits. */
export function retryOf(given: Partial<RetryPolicy>): RetryPolicy {
  return { ...defaultRetry, from: 'route', backoffBaseMs: 1, backoffMaxMs: 5, ...given };
}

export { noEdits, noTimeouts };

/** Everything is closed when the test is over. */
export async function sceneOf(test: TestContext, options: SceneOptions): Promise<Scene> {
  const servers: NetServer[] = [];
  for (const endpoint of options.endpoints) {
    const server = typeof endpoint === 'function' ? createServer(endpoint) : endpoint;
    if (!server.listening) await listen(server);
    servers.push(server);
  }
  const { index, workloads, service } = meshOf(servers, options.protocol ?? 'http1');
  let routes = routesOf([ruleOf(options.rule)], options);
  const records: RequestRecord[] = [];
  const counters = new RequestCounters();
  const connect: ConnectEndpoint = ({ address, targetPort, timeoutMs }, callback) =>
    connectTcp({ host: address, port: targetPort, timeoutMs }, callback);
  const context: HttpServiceContext = {
    index,
    self: () => null,
    routesOf: (key) => (key === cartKey ? routes : null),
    connect: options.connect?.(connect) ?? connect,
    passThrough: (stream) => stream.reset(),
    judge: null,
    records: { wants: () => true, request: (record) => records.push(record) },
    counters,
    limits: { ...defaultHttpLimits, ...options.limits },
    random: Math.random,
    ...options.context,
  };
  const http = createHttpService(context);
  const client = clientOf(service, options.protocol ?? 'http1');
  const front = createTcpServer((stream) => http.serve(stream, client));
  await listen(front);
  const { port } = front.address() as AddressInfo;
  test.after(async () => {
    http.close();
    for (const server of [...servers, front]) {
      if ('closeAllConnections' in server) (server as Server).closeAllConnections();
      server.close();
    }
  });
  return {
    service: http,
    records,
    counters,
    port,
    index,
    workloads,
    setRules: (rules) => {
      routes = routesOf(rules, options);
      http.meshChanged();
    },
    ask: (target, ask) => askHttp(port, target, ask),
  };
}

/** One request over `node:http`; the connection is closed unless an agent is given. */
export function askHttp(port: number, target: string, options: AskOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body, agent } = options;
    const asked = request({ port, host: '127.0.0.1', path: target, method, headers, agent: agent ?? false });
    asked.on('error', reject);
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers: got } = response;
        resolve({ status, headers: got, body: Buffer.concat(chunks).toString() });
      });
    });
    asked.end(body);
  });
}

/** On a port of loopback. */
export function listen(server: NetServer): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function clientOf(service: Service, protocol: AppProtocol): ClientInfo {
  return {
    identity: 'spiffe://cluster.local/ns/shop/sa/web',
    workload: workloadOf('shop/web'),
    address: '10.244.0.1',
    port: 1234,
    service,
    servicePort: 80,
    destinationAddress: '10.96.0.1',
    protocol: protocol,
  };
}

function meshOf(servers: readonly NetServer[], protocol: AppProtocol) {
  const workloads = servers.map((server, at) => {
    const { port } = server.address() as AddressInfo;
    const ports = [{ servicePort: 80, targetPort: port, appProtocol: 'unknown' as const }];
    const services = { [cartKey]: ports };
    return workloadOf(`shop/cart-${at}`, { addresses: ['127.0.0.1'], services, labels: { name: `cart-${at}` } });
  });
  const ports = [{ servicePort: 80, targetPort: 8080, appProtocol: protocol }];
  const service = { ...cartService, ports };
  const index = new MeshIndex();
  index.apply({
    workloads,
    services: [service],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: true,
  });
  return { index, workloads, service };
}

function routesOf(rules: readonly RouteRule[], options: SceneOptions): ServiceRoutes {
  const policy = destinationPolicyOf(options.policy);
  const path = options.path ?? null;
  const subsets = (options.subsets ?? []).map((name) => ({ name, labels: { name }, policy, portPolicies: [] }));
  const entries = rules.map((_, rule) => ({ match: { ...matchAnything, path }, rule }));
  return {
    service: cartKey,
    ports: [{ port: 80, protocol: options.protocol ?? 'http1', rules, entries, attached: true, tcpBackends: [] }],
    destination: { service: cartKey, policy, portPolicies: [], subsets },
    otherDestinations: [],
    serverTiming: options.serverTiming ?? false,
    ...(options.tracePercent !== undefined && { tracePercent: options.tracePercent }),
  };
}
