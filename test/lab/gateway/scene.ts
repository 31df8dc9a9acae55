// The fixture of Gateway API's mesh conformance tests, enrolled as Istio enrolls it for its own ambient run, and what
// the suite does with it: the client in a pod, comparison of what came back, and shares of weighted backends.
import assert from 'node:assert/strict';
import path from 'node:path';
import type { PodAgent } from '../agent.ts';
import { document, type TestLab, twoNodes } from '../harness.ts';

export const meshSpace = 'gateway-conformance-mesh';
export const consumerSpace = 'gateway-conformance-mesh-consumer';
const image = 'registry.k8s.io/gateway-api/conformance/echo-advanced:v0.1.0';
const ports = [8080, 8443, 9090, 7070].map((containerPort) => ({ containerPort, protocol: 'TCP' }));
const args = ['--tcp=9090', '--port=8080', '--grpc=7070', '--port=8443', '--tls=8443'];

function namespace(name: string, labels: Readonly<Record<string, string>>): string {
  const all = { 'istio.io/dataplane-mode': 'ambient', ...labels };
  return document({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: all } });
}

function deployment(namespaceName: string, version: string, more: object): string {
  const labels = { app: 'echo', version };
  const container = { name: 'echo', image, ports, ...more };
  return document({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `echo-${version}`, namespace: namespaceName, labels: { app: 'echo' } },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 1, containers: [container] },
      },
    },
  });
}

function service(name: string, selector: Readonly<Record<string, string>>, grpc: object): string {
  return document({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: meshSpace },
    spec: {
      selector,
      ports: [
        { name: 'http', port: 80, appProtocol: 'http', targetPort: 8080 },
        { name: 'http-alt', port: 8080, appProtocol: 'http' },
        { name: 'https', port: 443, targetPort: 8443 },
        { name: 'tcp', port: 9090 },
        { name: 'grpc', port: 7070, ...grpc },
      ],
    },
  });
}

/** Namespaces, waypoint, deployments and services. */
export const gatewayScene =
  twoNodes +
  namespace(meshSpace, { 'istio.io/use-waypoint': 'namespace' }) +
  namespace(consumerSpace, {}) +
  document({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'namespace', namespace: meshSpace, annotations: { 'ambient.mesh/replicas': '1' } },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  }) +
  deployment(meshSpace, 'v1', { args }) +
  deployment(meshSpace, 'v2', { args }) +
  deployment(consumerSpace, 'v1', {}) +
  service('echo', { app: 'echo' }, { appProtocol: 'kubernetes.io/h2c' }) +
  service('echo-v1', { app: 'echo', version: 'v1' }, {}) +
  service('echo-v2', { app: 'echo', version: 'v2' }, {});

/** Who asks: a pod of the mesh's namespace, or the one of the consumer's. */
export type Asker = 'v1' | 'v2' | 'consumer';

/** Headers by name, values of one name joined by commas; null for one that must not be there. */
export type Expected = Readonly<Record<string, string | null>>;

/** One request and what is expected of it. */
export interface Ask {
  /** `http://echo/path`, `grpc://echo:7070`; `POD-v2` stands for the address of that pod. */
  readonly url: string;
  readonly from?: Asker;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default 200. */
  readonly status?: number;
  /** What the name of the answering pod begins with. */
  readonly backend?: string;
  /** Headers as the backend has them. */
  readonly seen?: Expected;
  /** Headers of the answer. */
  readonly answered?: Expected;
  /** The path that the backend sees, which the suite does not compare. */
  readonly path?: string;
}

/** One answer as the client printed it. */
export interface Answer {
  readonly status: number;
  readonly hostname: string;
  readonly url: string;
  readonly requestHeaders: ReadonlyMap<string, string>;
  readonly responseHeaders: ReadonlyMap<string, string>;
}

const consecutiveSuccesses = 3;
const consistentWithinMs = 30_000;
const pollMs = 100;
const weighedRequests = 500;
const weightTolerance = 0.05;
const weightAttempts = 10;

/** The clients in the pods. */
export class Askers {
  readonly #agents: Readonly<Record<Asker, PodAgent>>;
  readonly #podAddress: string;

  private constructor(agents: Readonly<Record<Asker, PodAgent>>, podAddress: string) {
    this.#agents = agents;
    this.#podAddress = podAddress;
  }

  static async in(lab: TestLab): Promise<Askers> {
    const { pods } = await lab.client.status();
    const podOf = (space: string, name: string): string =>
      pods.find((pod) => pod.namespace === space && pod.name.startsWith(`${name}-`))?.name ?? assert.fail(name);
    const agentOf = (space: string, name: string): Promise<PodAgent> =>
      lab.agent(podOf(space, name), space, path.join(import.meta.dirname, 'echo-client-agent.ts'));
    const v1 = await agentOf(meshSpace, 'echo-v1');
    const v2 = await agentOf(meshSpace, 'echo-v2');
    const consumer = await agentOf(consumerSpace, 'echo-v1');
    return new Askers({ v1, v2, consumer }, await lab.addressOf(podOf(meshSpace, 'echo-v2'), meshSpace));
  }

  /** Asks until three answers in a row are as expected; fails with what was wrong with the last other one. */
  async expect(ask: Ask): Promise<void> {
    const deadlineMs = performance.now() + consistentWithinMs;
    for (let successes = 0; successes < consecutiveSuccesses; ) {
      const [answer] = await this.#run(ask, 1);
      const problem = answer === undefined ? 'no answer' : problemOf(ask, answer);
      successes = problem === null ? successes + 1 : 0;
      if (problem === null) continue;
      assert(performance.now() < deadlineMs, `${JSON.stringify(ask)}: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Sends 500 requests by one client and compares who answered how many. */
  async weigh(url: string, shares: Readonly<Record<string, number>>): Promise<void> {
    let problem = '';
    for (let attempt = 0; attempt < weightAttempts; attempt++) {
      const answers = await this.#run({ url }, weighedRequests);
      problem = shareProblem(answers, shares);
      if (problem === '') return;
    }
    assert.fail(problem);
  }

  async #run(ask: Ask, count: number): Promise<Answer[]> {
    const headers = Object.entries(ask.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}:${value}`]);
    const words = [ask.url.replace('POD-v2', this.#podAddress), ...headers, `--count=${count}`];
    const { stdout } = await this.#agents[ask.from ?? 'v1'].call({ op: 'client', args: words });
    return readAnswers(String(stdout));
  }
}

/** Reads what the client printed, by the words that the suite looks for. */
export function readAnswers(text: string): Answer[] {
  const sections = text.split('\n\n').filter((section) => section.trim() !== '');
  return sections.map((section) => {
    const first = (field: string): string => new RegExp(`\\b${field}=(.*)`).exec(section)?.[1] ?? '';
    return {
      status: Number(first('StatusCode')),
      hostname: first('Hostname'),
      url: first('URL'),
      requestHeaders: headersIn(section, 'RequestHeader'),
      responseHeaders: headersIn(section, 'ResponseHeader'),
    };
  });
}

function headersIn(section: string, field: string): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [, name = '', value = ''] of section.matchAll(new RegExp(`\\b${field}=([^:\\n]+):(.*)`, 'g'))) {
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

function problemOf(ask: Ask, answer: Answer): string | null {
  const { status = 200, backend = '', seen = {}, answered = {} } = ask;
  if (answer.status !== status) return `status ${answer.status}, not ${status}`;
  if (!answer.hostname.startsWith(backend)) return `answered by ${answer.hostname}, not ${backend}`;
  if (ask.path !== undefined && answer.url !== ask.path) return `the backend saw ${answer.url}, not ${ask.path}`;
  return (
    headerProblem('request', seen, answer.requestHeaders) ?? headerProblem('answer', answered, answer.responseHeaders)
  );
}

function headerProblem(what: string, wanted: Expected, got: ReadonlyMap<string, string>): string | null {
  for (const [name, value] of Object.entries(wanted)) {
    const found = got.get(name.toLowerCase()) ?? null;
    if (found !== value) return `${what} header ${name} is ${found}, not ${value}`;
  }
  return null;
}

function shareProblem(answers: readonly Answer[], shares: Readonly<Record<string, number>>): string {
  if (answers.length !== weighedRequests) return `${answers.length} answers of ${weighedRequests}`;
  const counts = new Map<string, number>();
  for (const { hostname } of answers) {
    // A pod of a Deployment: two parts after the Deployment's name.
    const backend = hostname.split('-').slice(0, -2).join('-');
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  const wanted = Object.entries(shares).filter(([, share]) => share > 0);
  const off = wanted.some(([name, share]) => {
    const part = (counts.get(name) ?? 0) / weighedRequests;
    return Math.abs(part - share) > weightTolerance;
  });
  return off || counts.size !== wanted.length ? `shares: ${JSON.stringify([...counts])}` : '';
}
