// A cluster as commands see it. Admin ports listen on loopback of their pods alone, so the controllers' are reached by
// a port-forward, which takes rights for these pods; proxies are asked by the controller that they are connected to.

import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, messageOf } from '../base/errors.ts';
import { linesOf, merged } from '../base/line-streams.ts';
import { nodeHttp } from '../base/node-http.ts';
import { controllerName, type Manifest, nodeName } from '../install/parts.ts';
import type { KubeAccess } from '../kube/api/access.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { execInPod, type RanProgram } from '../kube/api/exec.ts';
import { kubeconfigAccess } from '../kube/api/kubeconfig.ts';
import { openPodPort } from '../kube/api/port-forward.ts';
import { isMapping } from '../kube/object-reader.ts';
import { joinedStatus } from '../model/joined-status.ts';
import { pageOnAdmin } from '../model/page-views.ts';
import type { StatusView } from '../model/views.ts';
import { gatewayNameLabel } from '../model/waypoints.ts';
import { ClusterObjects, whenUnreachable } from './cluster-objects.ts';
import type { CliIo } from './io.ts';
import {
  type LogSource,
  logSince,
  type MeshPart,
  type ObjectName,
  type OperableMesh,
  type WriteAction,
} from './mesh.ts';
import { isWaypointObject } from './waypoint-gateways.ts';

export interface ClusterName {
  /** '' for KUBECONFIG, or `~/.kube/config`. */
  readonly kubeconfig: string;
  /** '' for the current one. */
  readonly context: string;
  /** Of the system. */
  readonly namespace: string;
}

const adminPort = 15_000;
const rolloutLookMs = 500;
const answerTimeoutMs = 20_000;
const answerBytesMax = 256 * 1024 * 1024;
/** Of each program's log: the newest. */
const logLinesMax = 100_000;

type Method = 'GET' | 'POST';

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The kubeconfig that is meant when none is named; null when there is none. */
export function defaultKubeconfig(env: CliIo['env']): string | null {
  const named = env.KUBECONFIG?.split(path.delimiter).find((one) => one !== '');
  const file = named ?? (env.HOME === undefined ? '' : path.join(env.HOME, '.kube', 'config'));
  return file !== '' && existsSync(file) ? file : null;
}

/** The mesh of a cluster. */
export class ClusterMesh implements OperableMesh {
  readonly title: string;
  readonly isLab = false;
  readonly #access: KubeAccess;
  readonly #client: ApiClient;
  readonly #objects: ClusterObjects;
  readonly #namespace: string;
  #found: Promise<readonly PodName[]> | null = null;

  /** Throws INPUT_UNREADABLE or CONFIG_INVALID for the kubeconfig. */
  constructor({ kubeconfig, context, namespace }: ClusterName) {
    this.#access = kubeconfigAccess(kubeconfig, context);
    this.#client = new ApiClient(this.#access, whenUnreachable);
    this.#objects = new ClusterObjects(this.#client);
    this.#namespace = namespace;
    this.title = `cluster ${context === '' ? this.#access.server : context}`;
  }

  async admin(part: MeshPart, adminPath: string): Promise<unknown> {
    if (part.kind === 'controller') {
      if (adminPath === '/status') return this.#status();
      // Of each replica its own, the rest of any.
      if (adminPath === '/proxies') return this.#joined(adminPath, 'proxies');
      if (adminPath === '/certificates') return this.#joined(adminPath, 'servers');
    }
    return parsed(await this.#askPart('GET', part, adminPath), adminPath);
  }

  async tell(part: MeshPart, adminPath: string): Promise<unknown> {
    // Every replica has a state of its own.
    if (part.kind === 'controller' && !adminPath.startsWith('/proxies/')) {
      const pods = await this.#controllers();
      const answers = await Promise.all(pods.map((pod) => this.#ask('POST', pod, adminPath)));
      return answers.map((answer) => parsed(accepted(answer), adminPath)).at(-1);
    }
    return parsed(await this.#askPart('POST', part, adminPath), adminPath);
  }

  async text(part: MeshPart, adminPath: string): Promise<string> {
    return (await this.#askPart('GET', part, adminPath)).text;
  }

  patch(target: ObjectName, patch: object): Promise<WriteAction> {
    return this.#objects.patch(target, patch);
  }

  apply(manifest: Manifest): Promise<WriteAction> {
    return this.#objects.apply(manifest);
  }

  remove(target: ObjectName): Promise<void> {
    return this.#objects.remove(target);
  }

  run(pod: Omit<ObjectName, 'kind'>, argv: readonly string[], timeoutMs: number): Promise<RanProgram> {
    return execInPod(this.#access, pod, argv, timeoutMs);
  }

  async restartNodeProxy(_node: string, timeoutMs: number): Promise<void> {
    const target = { kind: 'DaemonSet', namespace: this.#namespace, name: nodeName };
    // As `kubectl rollout restart` does.
    const annotations = { 'kubectl.kubernetes.io/restartedAt': new Date().toISOString() };
    await this.patch(target, { spec: { template: { metadata: { annotations } } } });
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const found = (await this.objects('DaemonSet')) as readonly DaemonSetObject[];
      const own = found.find(({ metadata }) => metadata.namespace === this.#namespace && metadata.name === nodeName);
      if (own !== undefined && isRolledOut(own)) return;
      if (Date.now() > deadlineMs) {
        throw new MeshError('TIMED_OUT', { what: `the rollout of ${nodeName}`, timeoutMs, hint: this.#hint() });
      }
      await sleep(rolloutLookMs);
    }
  }

  async logSources(): Promise<readonly LogSource[]> {
    const waypoints = (await this.objects('Gateway')).filter(isWaypointObject);
    const found = await Promise.all([
      this.#logsOf('controller', this.#namespace, `app.kubernetes.io/name=${controllerName}`),
      this.#logsOf('node', this.#namespace, `app.kubernetes.io/name=${nodeName}`),
      ...waypoints.map(({ metadata: { namespace = '', name } }) =>
        this.#logsOf(`waypoint/${namespace}/${name}`, namespace, `${gatewayNameLabel}=${name}`),
      ),
    ]);
    return found.flat();
  }

  async #log(path: string, sinceMs: number | null): Promise<string> {
    const since = sinceMs === null ? {} : { sinceSeconds: String(Math.ceil((Date.now() - sinceMs) / 1000)) };
    try {
      return await this.#client.text({ path, query: { tailLines: String(logLinesMax), ...since } });
    } catch (error) {
      // An API server that cannot choose, as a lab's: it is chosen here.
      if (failureOf(error)?.status !== 400) throw error;
      return logSince(await this.#client.text({ path }), sinceMs);
    }
  }

  async #logsOf(part: string, namespace: string, labelSelector: string): Promise<readonly LogSource[]> {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    return (await this.#pods(namespace, labelSelector)).map(({ metadata: { name }, spec }) => ({
      name: part === 'node' ? `node/${spec?.nodeName ?? 'unknown'}/${name}` : `${part}/${name}`,
      read: (sinceMs) => this.#log(`${path}/${name}/log`, sinceMs),
    }));
  }

  async *stream(adminPath: string, signal?: AbortSignal): AsyncIterable<string> {
    const pods = await this.#controllers();
    yield* merged(pods.map((pod) => this.#lines(pod, adminPath, signal)));
  }

  /**
   * Of the first replica that answers. By its admin port, so that neither a certificate nor a password of the page
   * matters: who may forward that port may see more than the page has.
   */
  async page(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    let failure: unknown;
    for (const pod of await this.#controllers()) {
      try {
        return await this.#open('GET', pod, `${pageOnAdmin}${path}`, signal);
      } catch (error) {
        failure = error;
        if (signal.aborted) break;
      }
    }
    this.#found = null; // replicas come and go while somebody looks at the page
    throw failure;
  }

  async nodes(): Promise<readonly string[]> {
    const { proxies } = await this.#status();
    return proxies.flatMap(({ kind, node }) => (kind === 'node' ? [node] : [])).sort();
  }

  objects(kind: string, namespace?: string, selector?: string): Promise<readonly object[]> {
    return this.#objects.list(kind, namespace, selector);
  }

  logsCommand({ kind, name }: MeshPart): string {
    const of = { controller: `deploy/${controllerName}`, node: `daemonset/${nodeName}`, waypoint: '' }[kind];
    if (kind !== 'waypoint') return `kubectl -n ${this.#namespace} logs ${of}`;
    const [namespace = '', gateway = ''] = name.split('/');
    return `kubectl -n ${namespace} logs deploy/${gateway}`;
  }

  /** Every proxy is connected to one replica, which alone knows how it stands. */
  async #status(): Promise<StatusView> {
    const answers = await Promise.all((await this.#controllers()).map((pod) => this.#ask('GET', pod, '/status')));
    const views = answers.map((answer) => parsed(answer, '/status') as StatusView);
    return joinedStatus(views as [StatusView, ...StatusView[]]);
  }

  /** The answer of the first replica, with the lists `field` of all. */
  async #joined(adminPath: string, field: string): Promise<unknown> {
    const answers = await Promise.all((await this.#controllers()).map((pod) => this.#ask('GET', pod, adminPath)));
    const views = answers.map((answer) => parsed(answer, adminPath) as Readonly<Record<string, readonly unknown[]>>);
    return { ...views[0], [field]: views.flatMap((view) => view[field] ?? []) };
  }

  /** By the controller; where there is none, a proxy is asked itself, which takes rights for its pod. */
  async #askPart(method: Method, part: MeshPart, adminPath: string): Promise<Answer> {
    if (part.kind === 'controller') return this.#askAny(method, adminPath);
    try {
      await this.#controllers();
    } catch (error) {
      const pod = await this.#podOf(part).catch(() => null);
      if (pod === null) throw error;
      return accepted(await this.#ask(method, pod, adminPath));
    }
    return this.#askAny(method, `/proxies/${part.kind}/${part.name}${adminPath}`);
  }

  async #podOf({ kind, name }: MeshPart): Promise<PodName | null> {
    const [space = '', gateway = ''] = name.split('/');
    const isNode = kind === 'node';
    const namespace = isNode ? this.#namespace : space;
    const labelSelector = isNode ? `app.kubernetes.io/name=${nodeName}` : `${gatewayNameLabel}=${gateway}`;
    const pods = await this.#pods(namespace, labelSelector);
    const found = pods.find(({ spec }) => !isNode || spec?.nodeName === name);
    return found === undefined ? null : { namespace, name: found.metadata.name };
  }

  async #pods(namespace: string, labelSelector: string): Promise<readonly PodObject[]> {
    const list = await this.#client.json({ path: `/api/v1/namespaces/${namespace}/pods`, query: { labelSelector } });
    return isMapping(list) && Array.isArray(list['items']) ? (list['items'] as PodObject[]) : [];
  }

  /** What the first replica answers that knows; the words of the last otherwise. */
  async #askAny(method: Method, adminPath: string): Promise<Answer> {
    let last: Answer | null = null;
    for (const pod of await this.#controllers()) {
      last = await this.#ask(method, pod, adminPath);
      if (last.status < 400) return last;
    }
    const reason = last?.text.trim() ?? '';
    if (last?.status === 404) throw new MeshError('NOT_FOUND', { what: reason, hint: 'see: ambientctl status' });
    if (last?.status === 400) throw new MeshError('USAGE', { reason });
    throw new MeshError('NOT_REACHABLE', { what: 'the controller', reason, hint: this.#hint() });
  }

  async #ask(method: Method, pod: PodName, adminPath: string): Promise<Answer> {
    const response = await this.#open(method, pod, adminPath, AbortSignal.timeout(answerTimeoutMs));
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > answerBytesMax) {
        throw new MeshError('LIMIT_REACHED', { limit: 'answerBytesMax', value: answerBytesMax, what: adminPath });
      }
      chunks.push(chunk);
    }
    return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
  }

  async *#lines(pod: PodName, adminPath: string, signal?: AbortSignal): AsyncGenerator<string> {
    const response = await this.#open('GET', pod, adminPath, signal);
    yield* linesOf(response, signal);
  }

  async #open(method: Method, pod: PodName, adminPath: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const { namespace, name } = pod;
    const stream = await openPodPort(this.#access, { namespace, pod: name, port: adminPort });
    const headers = { host: 'localhost', connection: 'close' };
    const options = { method, path: adminPath, headers, createConnection: () => stream, ...(signal ? { signal } : {}) };
    return new Promise((resolve, reject) => {
      const request = nodeHttp.request(options, (response) => {
        response.on('close', () => stream.destroy());
        resolve(response);
      });
      request.on('error', (error) => {
        stream.destroy();
        const what = `pod ${pod.namespace}/${pod.name}`;
        reject(
          new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint: this.#hint() }, { cause: error }),
        );
      });
      request.end();
    });
  }

  /** The controllers' pods that are ready. */
  #controllers(): Promise<readonly PodName[]> {
    this.#found ??= this.#findControllers();
    this.#found.catch(() => {
      this.#found = null; // they are looked for again by whoever asks again
    });
    return this.#found;
  }

  async #findControllers(): Promise<readonly PodName[]> {
    const items = await this.#pods(this.#namespace, `app.kubernetes.io/name=${controllerName}`);
    const ready = items.filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true,
    );
    if (ready.length > 0) {
      const names = ready.map(({ metadata }) => metadata.name).sort();
      return names.map((name) => ({ namespace: this.#namespace, name }));
    }
    const reason = items.length === 0 ? `namespace ${this.#namespace} has none` : 'no pod of it is ready';
    throw new MeshError('NOT_REACHABLE', { what: `the controller of ${this.title}`, reason, hint: this.#hint() });
  }

  #hint(): string {
    return `see: kubectl -n ${this.#namespace} get pods`;
  }
}

interface DaemonSetObject {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly generation?: number };
  readonly status?: Readonly<Record<string, number>>;
}

function isRolledOut({ metadata: { generation = 0 }, status = {} }: DaemonSetObject): boolean {
  const {
    observedGeneration = 0,
    desiredNumberScheduled = 0,
    updatedNumberScheduled = 0,
    numberAvailable = 0,
  } = status;
  if (observedGeneration < generation || updatedNumberScheduled < desiredNumberScheduled) return false;
  return numberAvailable >= desiredNumberScheduled;
}

interface PodName {
  readonly namespace: string;
  readonly name: string;
}

interface PodObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

function accepted(answer: Answer): Answer {
  if (answer.status < 400) return answer;
  throw new MeshError('USAGE', { reason: answer.text.trim() });
}

function parsed({ text }: Answer, adminPath: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const reason = `it does not answer ${adminPath} as it should`;
    throw new MeshError('NOT_REACHABLE', { what: 'the controller', reason, hint: 'is it of the same version?' });
  }
}
