// A cluster as commands see it. Admin ports listen on loopback of their pods alone, so the controllers' are reached by
// a port-forward, which takes rights for these pods; proxies are asked by the controller that they are connected to.
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { MeshError, messageOf } from '../base/errors.ts';
import { linesOf, merged } from '../base/line-streams.ts';
import { nodeHttp } from '../base/node-http.ts';
import { controllerName, nodeName } from '../install/parts.ts';
import type { KubeAccess } from '../kube/api/access.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { watchedKinds } from '../kube/api/kinds.ts';
import { kubeconfigAccess } from '../kube/api/kubeconfig.ts';
import { openPodPort } from '../kube/api/port-forward.ts';
import { isMapping } from '../kube/object-reader.ts';
import type { StatusView } from '../model/views.ts';
import type { CliIo } from './io.ts';
import type { Mesh, MeshPart } from './mesh.ts';

export interface ClusterName {
  /** '' for KUBECONFIG, or `~/.kube/config`. */
  readonly kubeconfig: string;
  /** '' for the current one. */
  readonly context: string;
  /** Of the system. */
  readonly namespace: string;
}

const adminPort = 15_000;
const answerTimeoutMs = 20_000;
const answerBytesMax = 256 * 1024 * 1024;
/** What the controller does not follow, and the linter looks at. */
const furtherKinds = [
  { kind: 'ServiceAccount', group: '', versions: ['v1'], plural: 'serviceaccounts' },
  { kind: 'NetworkPolicy', group: 'networking.k8s.io', versions: ['v1'], plural: 'networkpolicies' },
] as const;

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
export class ClusterMesh implements Mesh {
  readonly title: string;
  readonly #access: KubeAccess;
  readonly #client: ApiClient;
  readonly #namespace: string;
  #pods: Promise<readonly string[]> | null = null;

  /** Throws INPUT_UNREADABLE or CONFIG_INVALID for the kubeconfig. */
  constructor({ kubeconfig, context, namespace }: ClusterName) {
    this.#access = kubeconfigAccess(kubeconfig, context);
    this.#client = new ApiClient(this.#access);
    this.#namespace = namespace;
    this.title = `cluster ${context === '' ? this.#access.server : context}`;
  }

  async admin(part: MeshPart, adminPath: string): Promise<unknown> {
    if (part.kind === 'controller') {
      if (adminPath === '/status') return this.#status();
      // Of each replica its own, the rest of any.
      if (adminPath === '/proxies') return this.#joined(adminPath, 'proxies');
      if (adminPath === '/certificates') return this.#joined(adminPath, 'servers');
      return parsed(await this.#askAny(adminPath), adminPath);
    }
    return parsed(await this.#askAny(`/proxies/${part.kind}/${part.name}${adminPath}`), adminPath);
  }

  async *stream(adminPath: string, signal?: AbortSignal): AsyncIterable<string> {
    const pods = await this.#controllers();
    yield* merged(pods.map((pod) => this.#lines(pod, adminPath, signal)));
  }

  async nodes(): Promise<readonly string[]> {
    const { proxies } = await this.#status();
    return proxies.flatMap(({ kind, node }) => (kind === 'node' ? [node] : [])).sort();
  }

  async objects(kind: string): Promise<readonly object[]> {
    const found = [...watchedKinds, ...furtherKinds].find((one) => one.kind === kind);
    if (found === undefined) throw new MeshError('INTERNAL', { reason: `objects of kind ${kind} are not asked for` });
    for (const version of found.versions) {
      const apiVersion = found.group === '' ? version : `${found.group}/${version}`;
      try {
        const list = await this.#client.json({
          path: `/${apiVersion === 'v1' ? 'api' : 'apis'}/${apiVersion}/${found.plural}`,
        });
        const items = isMapping(list) && Array.isArray(list['items']) ? list['items'] : [];
        return items.map((item: object) => ({ apiVersion, kind, ...item }));
      } catch (error) {
        if (failureOf(error)?.status !== 404) throw error;
      }
    }
    return []; // a kind that is not defined has no objects
  }

  logsCommand({ kind, name }: MeshPart): string {
    const of = { controller: `deploy/${controllerName}`, node: `daemonset/${nodeName}`, waypoint: '' }[kind];
    if (kind !== 'waypoint') return `kubectl -n ${this.#namespace} logs ${of}`;
    const [namespace = '', gateway = ''] = name.split('/');
    return `kubectl -n ${namespace} logs deploy/${gateway}`;
  }

  /** Every proxy is connected to one replica, which alone knows how it stands. */
  async #status(): Promise<StatusView> {
    const answers = await Promise.all((await this.#controllers()).map((pod) => this.#ask(pod, '/status')));
    const views = answers.map((answer) => parsed(answer, '/status') as StatusView);
    const [first] = views;
    const proxies = new Map<string, StatusView['proxies'][number]>();
    for (const proxy of views.flatMap((view) => view.proxies)) {
      const key = `${proxy.kind} ${proxy.node} ${proxy.name}`;
      const known = proxies.get(key);
      if (known === undefined || (!known.ready && proxy.ready)) proxies.set(key, proxy);
    }
    return { ...first!, proxies: [...proxies.values()] };
  }

  /** The answer of the first replica, with the lists `field` of all. */
  async #joined(adminPath: string, field: string): Promise<unknown> {
    const answers = await Promise.all((await this.#controllers()).map((pod) => this.#ask(pod, adminPath)));
    const views = answers.map((answer) => parsed(answer, adminPath) as Readonly<Record<string, readonly unknown[]>>);
    return { ...views[0], [field]: views.flatMap((view) => view[field] ?? []) };
  }

  /** What the first replica answers that knows; the words of the last otherwise. */
  async #askAny(adminPath: string): Promise<Answer> {
    let last: Answer | null = null;
    for (const pod of await this.#controllers()) {
      last = await this.#ask(pod, adminPath);
      if (last.status < 400) return last;
    }
    const reason = last?.text.trim() ?? '';
    if (last?.status === 404) throw new MeshError('NOT_FOUND', { what: reason, hint: 'see: ambientctl status' });
    throw new MeshError('NOT_REACHABLE', { what: 'the controller', reason, hint: this.#hint() });
  }

  async #ask(pod: string, adminPath: string): Promise<Answer> {
    const response = await this.#open(pod, adminPath, AbortSignal.timeout(answerTimeoutMs));
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

  async *#lines(pod: string, adminPath: string, signal?: AbortSignal): AsyncGenerator<string> {
    const response = await this.#open(pod, adminPath, signal);
    yield* linesOf(response, signal);
  }

  async #open(pod: string, adminPath: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const stream = await openPodPort(this.#access, { namespace: this.#namespace, pod, port: adminPort });
    const headers = { host: 'localhost', connection: 'close' };
    const options = { path: adminPath, headers, createConnection: () => stream, ...(signal ? { signal } : {}) };
    return new Promise((resolve, reject) => {
      const request = nodeHttp.request(options, (response) => {
        response.on('close', () => stream.destroy());
        resolve(response);
      });
      request.on('error', (error) => {
        stream.destroy();
        const what = `controller ${pod}`;
        reject(
          new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint: this.#hint() }, { cause: error }),
        );
      });
      request.end();
    });
  }

  /** Names of the controllers' pods that are ready. */
  #controllers(): Promise<readonly string[]> {
    this.#pods ??= this.#findControllers();
    return this.#pods;
  }

  async #findControllers(): Promise<readonly string[]> {
    const query = { labelSelector: `app.kubernetes.io/name=${controllerName}` };
    const list = await this.#client.json({ path: `/api/v1/namespaces/${this.#namespace}/pods`, query });
    const items = isMapping(list) && Array.isArray(list['items']) ? (list['items'] as PodObject[]) : [];
    const ready = items.filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined &&
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true,
    );
    if (ready.length > 0) return ready.map(({ metadata }) => metadata.name).sort();
    const reason = items.length === 0 ? `namespace ${this.#namespace} has none` : 'no pod of it is ready';
    throw new MeshError('NOT_REACHABLE', { what: `the controller of ${this.title}`, reason, hint: this.#hint() });
  }

  #hint(): string {
    return `see: kubectl -n ${this.#namespace} get pods`;
  }
}

interface PodObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

function parsed({ text }: Answer, adminPath: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const reason = `it does not answer ${adminPath} as it should`;
    throw new MeshError('NOT_REACHABLE', { what: 'the controller', reason, hint: 'is it of the same version?' });
  }
}
