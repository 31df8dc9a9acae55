// What the lab tests of HTTP share: a namespace behind a waypoint with three echo pods, and a client in a pod.
import assert from 'node:assert/strict';
import path from 'node:path';
import type { PodAgent } from './agent.ts';
import { document, node1, node2, pod, type TestLab, twoNodes } from './harness.ts';
import type { Burst, Outcome } from './http-agent.ts';
import type { UnaryAnswer } from './http-agent-grpc.ts';

export const space = 'default';
export const waypoint = { kind: 'waypoint', namespace: space, name: 'waypoint' } as const;
export const jsonLog = { waypointConfig: { log: { format: 'json' }, destinationReporter: true } } as const;
export const httpAgentFile = path.join(import.meta.dirname, 'http-agent.ts');
const echoPorts = [{ name: 'http', containerPort: 8080 }];

/** A Gateway that asks for a waypoint of `replicas` pods. */
export function gateway(name: string, replicas: number): string {
  return document({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: space, annotations: { 'ambient.mesh/replicas': String(replicas) } },
    spec: { gatewayClassName: 'ambient-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  });
}

const namespaceObject = document({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: space,
    labels: { 'ambient.mesh/dataplane-mode': 'ambient', 'ambient.mesh/use-waypoint': waypoint.name },
  },
});

export function echoPod(version: string, node: string): string {
  const labels = { serves: 'echo', version };
  const readinessProbe = { httpGet: { path: '/health', port: 8080 }, periodSeconds: 1, failureThreshold: 1 };
  return pod(version, { node, namespace: space, image: 'ambient/echo', labels, ports: echoPorts, readinessProbe });
}

/** A service of HTTP in front of the echo pods, or of those that `selector` says. */
export function httpService(
  name: string,
  selector: Readonly<Record<string, string>> = { serves: 'echo' },
  appProtocol = 'http',
  metadata: { readonly labels?: object; readonly annotations?: object } = {},
): string {
  const ports = [{ name: 'main', port: 80, targetPort: 8080, appProtocol }];
  return document({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, name, namespace: space },
    spec: { selector, ports },
  });
}

/** Two nodes, the waypoint, `client`, and echo pods v1, v2 and v3, with a service of each. */
export const httpScene =
  twoNodes +
  namespaceObject +
  gateway(waypoint.name, 1) +
  pod('client', { node: node1, namespace: space }) +
  echoPod('v1', node2) +
  echoPod('v2', node1) +
  echoPod('v3', node2) +
  ['v1', 'v2', 'v3'].map((version) => httpService(version, { version })).join('');

/** An HTTPRoute of service `name`. */
export function httpRoute(name: string, rules: readonly object[]): string {
  return document({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: space },
    spec: { parentRefs: [{ group: '', kind: 'Service', name }], rules },
  });
}

export const backend = (name: string, weight?: number): object => ({
  name,
  port: 80,
  ...(weight === undefined ? {} : { weight }),
});

export function virtualService(name: string, http: readonly object[], annotations = {}): string {
  return document({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace: space, annotations },
    spec: { hosts: [name], http },
  });
}

export function destinationRule(name: string, trafficPolicy: object): string {
  return document({
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name, namespace: space },
    spec: { host: name, trafficPolicy },
  });
}

/** An answer as curl has it; `json` is what the echo saw. */
export interface Answer {
  readonly status: number;
  readonly version: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what the assertions look into
  readonly json: any;
}

/** An application in a pod that calls others. */
export class HttpClient {
  readonly agent: PodAgent;

  constructor(agent: PodAgent) {
    this.agent = agent;
  }

  static async in(lab: TestLab, name: string): Promise<HttpClient> {
    return new HttpClient(await lab.agent(name, space, httpAgentFile));
  }

  /** One request by curl; fails the test when curl does. `options` are put before the URL, as a shell reads them. */
  async curl(url: string, options = ''): Promise<Answer> {
    const { exit, stdout, stderr } = await this.shell(`curl -sS -i --max-time 20 ${options} '${url}'`);
    assert.equal(exit, 0, `curl ${options} ${url}: ${stderr}`);
    return answerOf(stdout);
  }

  async shell(command: string, timeoutMs = 60_000): Promise<{ exit: number; stdout: string; stderr: string }> {
    return (await this.agent.call({ op: 'shell', command }, timeoutMs)) as never;
  }

  async burst(what: Burst): Promise<Outcome> {
    return (await this.agent.call({ op: 'burst', ...what }, 60_000)) as unknown as Outcome;
  }

  /** Load until it is stopped: a few requests at a time, again and again. Resolves with how to end it. */
  async load(what: Omit<Burst, 'count'>): Promise<{ soFar(): Promise<Outcome>; stop(): Promise<Outcome> }> {
    const { load } = await this.agent.call({ op: 'startLoad', ...what });
    const ask = async (op: string): Promise<Outcome> => (await this.agent.call({ op, load })) as unknown as Outcome;
    return { soFar: () => ask('loadSoFar'), stop: () => ask('stopLoad') };
  }

  async unary(target: string, text: string, more: { deadlineMs?: number; mine?: string } = {}): Promise<UnaryAnswer> {
    return (await this.agent.call({ op: 'unary', target, text, ...more })) as unknown as UnaryAnswer;
  }
}

function answerOf(output: string): Answer {
  // An answer of 100 comes before the one that counts.
  const whole = output.replace(/^(HTTP\/[\d.]+ 1\d\d[\s\S]*?\r\n\r\n)+/, '');
  const end = whole.indexOf('\r\n\r\n');
  const [first = '', ...lines] = whole.slice(0, end).split('\r\n');
  const text = whole.slice(end + 4);
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const isJson = headers.get('content-type') === 'application/json';
  const [version = '', status = ''] = first.split(' ');
  return { status: Number(status), version, headers, text, json: isJson ? JSON.parse(text) : null };
}

/** Names of a waypoint's pods that run and are not ending. */
export async function waypointPods(lab: TestLab, name: string = waypoint.name): Promise<string[]> {
  const { pods } = await lab.client.status();
  const own = pods.filter(({ serviceAccount, reason }) => serviceAccount === name && reason !== 'Terminating');
  return own.map((each) => each.name);
}

/** The metrics of a waypoint's pod, as a Prometheus in the mesh reads them. */
export async function metricsOf(lab: TestLab, client: HttpClient, podName: string): Promise<string> {
  return (await client.curl(`http://${await lab.addressOf(podName, space)}:15020/metrics`)).text;
}

/** Adds up the series of a metric whose labels have all of `parts`. */
export function sumOf(metrics: string, name: string, ...parts: readonly string[]): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  const fitting = lines.filter((line) => parts.every((part) => line.includes(part)));
  return fitting.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Of a pod of the echo: how many requests it has seen. Asked past the waypoint. */
export async function seenBy(lab: TestLab, client: HttpClient, name: string): Promise<number> {
  const address = await lab.addressOf(name, space);
  return (await client.curl(`http://${address}:8080/faults`)).json.seen;
}

/** Changes what is wrong with a pod of the echo; `query` as for `PUT /faults`. */
export async function setFaults(lab: TestLab, client: HttpClient, name: string, query: string): Promise<void> {
  const address = await lab.addressOf(name, space);
  const { status, text } = await client.curl(`http://${address}:8080/faults?${query}`, '-X PUT');
  assert.equal(status, 200, text);
}
