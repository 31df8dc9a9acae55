// The way into a running lab from outside: HTTP over its control socket, which only the lab's owner and root can reach.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import path from 'node:path';
import { type ErrorCode, errorTable, MeshError, messageOf } from '../base/errors.ts';
import { linesOf } from '../base/line-streams.ts';
import { readStandardInput } from '../base/standard-input.ts';
import type {
  ApplyResult,
  LabDocument,
  LabFault,
  LabPart,
  LabStatus,
  LabSummary,
  LabTarget,
  LogOptions,
  RestartResult,
} from './control-types.ts';
import { controlSocket, findRunningLab, hostPidOf, kubeconfigFile, processIds } from './running.ts';

export { listLabs } from './running.ts';

/** What the server answers to `/target`: process ids and namespaces as the lab sees them. */
export interface TargetAnswer {
  /** The process whose namespaces are entered. */
  readonly labPid: number;
  /** `--mount`, `--pid` …, and `--net=PATH` with a path inside the lab. */
  readonly nsenterArgs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly image: string;
}

const ordinaryTimeoutMs = 30_000;

/** The lab called `name`, or the only one. Throws `NOT_FOUND` with what to type. */
export function findLab(name?: string): LabClient {
  return new LabClient(findRunningLab(name));
}

/**
 * Talks to one lab. Every method throws `NOT_REACHABLE` when the lab has gone, `TIMED_OUT` when it does not answer,
 * and what the lab itself refuses with.
 */
export class LabClient {
  readonly lab: LabSummary;

  constructor(lab: LabSummary) {
    this.lab = lab;
  }

  async status(): Promise<LabStatus> {
    const status = (await this.#json('GET', '/status')) as LabStatus;
    return { ...status, hostPid: this.lab.hostPid };
  }

  /** Applies manifests: paths of files and folders, or documents already read. Returns when every proxy is in step. */
  async apply(what: readonly (string | LabDocument)[], timeoutMs = 60_000): Promise<ApplyResult> {
    const body = { documents: readDocuments(what), timeoutMs };
    return (await this.#json('POST', '/apply', body, timeoutMs + ordinaryTimeoutMs)) as ApplyResult;
  }

  /** Deletes what the manifests name. */
  async delete(what: readonly (string | LabDocument)[], timeoutMs = 60_000): Promise<ApplyResult> {
    const body = { documents: readDocuments(what), timeoutMs };
    return (await this.#json('POST', '/delete', body, timeoutMs + ordinaryTimeoutMs)) as ApplyResult;
  }

  /** Merges fields into one object (RFC 7396); returns when the lab has it, and not when proxies do. */
  async patch(kind: string, namespace: string, name: string, patch: object): Promise<ApplyResult> {
    return (await this.#json('POST', '/patch', { kind, namespace, name, patch })) as ApplyResult;
  }

  /**
   * Objects of a kind (`pod`, `pods`, `Pod`, `svc`…) as the lab's API server has them. Throws `NOT_FOUND` for a name
   * that is not there.
   */
  async get(kind: string, name?: string, namespace?: string): Promise<Record<string, unknown>[]> {
    const query = new URLSearchParams({ kind });
    if (name !== undefined) query.set('name', name);
    if (namespace !== undefined) query.set('namespace', namespace);
    return (await this.#json('GET', `/objects?${query}`)) as Record<string, unknown>[];
  }

  /** Path of a kubeconfig, good while the lab runs. Throws `NOT_FOUND` when the lab has no API server. */
  kubeconfig(): string {
    const file = `/proc/${this.lab.hostPid}/root${kubeconfigFile}`;
    if (existsSync(file)) return file;
    const hint = `start it with one: ambientctl lab up ${this.lab.name} --api-server -f PATH`;
    throw new MeshError('NOT_FOUND', { what: `the API server of lab ${this.lab.name}`, hint });
  }

  /** Lines of a part's log, oldest first. */
  async *logs(target: LabPart, options: LogOptions = {}): AsyncIterable<string> {
    const query = partQuery(target);
    if (options.follow === true) query.set('follow', '1');
    if (options.access === true) query.set('access', '1');
    yield* this.#lines(`/logs?${query}`, options.follow === true ? 0 : ordinaryTimeoutMs);
  }

  /** Lines of what a path of the controller's admin port answers, as they come. Throws what the controller says. */
  async *stream(adminPath: string, signal?: AbortSignal): AsyncIterable<string> {
    yield* this.#lines(`/stream?${new URLSearchParams({ path: adminPath })}`, 0, signal);
  }

  /** What the controller's live page answers to `GET pagePath`, whatever its status; `signal` ends it. */
  async page(pagePath: string, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#open('GET', `/page?${new URLSearchParams({ path: pagePath })}`, undefined, 0);
    signal.addEventListener('abort', () => response.destroy(), { once: true });
    if (signal.aborted) response.destroy();
    return response;
  }

  /** A reader that goes, or `signal`, ends it. */
  async *#lines(url: string, timeoutMs: number, signal?: AbortSignal): AsyncIterable<string> {
    const response = await this.#open('GET', url, undefined, timeoutMs);
    await refuseIfError(response);
    yield* linesOf(response, signal);
  }

  /** Where `exec` and `shell` enter. `name` of a pod may be `deploy/NAME` too; `container` defaults to the first. */
  async target(kind: 'pod' | 'node', namespace: string, name: string, container?: string): Promise<LabTarget> {
    const query = new URLSearchParams({ kind, namespace, name });
    if (container !== undefined) query.set('container', container);
    const answer = (await this.#json('GET', `/target?${query}`)) as TargetAnswer;
    const hostPid = hostPidOf(this.lab, answer.labPid);
    // Paths of namespaces are resolved before any namespace is entered, so they lead through the lab's own root.
    const nsenterArgs = answer.nsenterArgs.map((arg) =>
      arg.replace(/^--net=\//, `--net=/proc/${this.lab.hostPid}/root/`),
    );
    const user = hasOwnUserNamespace(this.lab.hostPid) ? ['--user', '--preserve-credentials'] : [];
    return { hostPid, nsenterArgs: [...user, ...nsenterArgs], env: answer.env, cwd: answer.cwd, image: answer.image };
  }

  /**
   * Restarts a node proxy or the controller and returns when the new one is ready; a rolling restart also waits until
   * the old one has drained, up to `timeoutMs`.
   */
  async restart(
    part: LabPart,
    options: { rolling?: boolean; kill?: boolean } = {},
    timeoutMs = 60_000,
  ): Promise<RestartResult> {
    const body = { part, ...options, timeoutMs };
    return (await this.#json('POST', '/restart', body, timeoutMs + ordinaryTimeoutMs)) as RestartResult;
  }

  /** Makes or heals a fault. Throws `CONFIG_INVALID` when the kernel cannot do it. */
  async fault(fault: LabFault): Promise<void> {
    await this.#json('POST', '/fault', fault);
  }

  /** A service-account token as the kubelet would project it. */
  async token(
    namespace: string,
    serviceAccount: string,
    options: { pod?: string; audience?: string } = {},
  ): Promise<string> {
    const answer = (await this.#json('POST', '/token', { namespace, serviceAccount, ...options })) as { token: string };
    return answer.token;
  }

  /** Asks the admin port of the controller, of a node proxy or of a waypoint (`NS/NAME`); returns its JSON. */
  async admin(
    kind: 'controller' | 'node' | 'waypoint',
    name: string,
    adminPath: string,
    options: { method?: string; body?: unknown } = {},
  ): Promise<unknown> {
    const words = [kind, ...(kind === 'controller' ? [] : name.split('/'))].map(encodeURIComponent);
    const where = `/admin/${words.join('/')}`;
    return await this.#json(options.method ?? 'GET', `${where}${adminPath}`, options.body);
  }

  /** Resolves when every pod is ready and every proxy in step; throws `TIMED_OUT` with what is missing. */
  async waitInStep(timeoutMs: number): Promise<void> {
    await this.#json('POST', '/wait', { timeoutMs }, timeoutMs + ordinaryTimeoutMs);
  }

  /** Ends the lab and everything in it; resolves when its first process has gone. */
  async down(timeoutMs = 20_000): Promise<void> {
    await this.#json('POST', '/down', {}).catch(() => {});
    const deadline = Date.now() + timeoutMs;
    while (processIds(this.lab.hostPid)?.ids.at(-1) === 1) {
      if (Date.now() > deadline) process.kill(this.lab.hostPid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #json(method: string, url: string, body?: unknown, timeoutMs = ordinaryTimeoutMs): Promise<unknown> {
    const response = await this.#open(method, url, body, timeoutMs);
    await refuseIfError(response);
    const text = await textOf(response);
    return text === '' ? null : JSON.parse(text);
  }

  #open(method: string, url: string, body: unknown, timeoutMs: number): Promise<IncomingMessage> {
    const what = `lab ${this.lab.name}`;
    return new Promise((resolve, reject) => {
      const headers = { host: 'lab', 'content-type': 'application/json' };
      const socketPath = `/proc/${this.lab.hostPid}/root${controlSocket}`;
      const outgoing = request({ socketPath, method, path: url, headers, timeout: timeoutMs }, resolve);
      outgoing.on('timeout', () => {
        outgoing.destroy(
          new MeshError('TIMED_OUT', { what: `${method} ${url} of ${what}`, timeoutMs, hint: 'is it stopped?' }),
        );
      });
      outgoing.on('error', (error) => {
        if (error instanceof MeshError) return reject(error);
        const hint = 'see: ambientctl lab list';
        reject(new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint }, { cause: error }));
      });
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function partQuery(part: LabPart): URLSearchParams {
  const query = new URLSearchParams({ kind: part.kind });
  if ('name' in part) query.set('name', part.name);
  if ('namespace' in part) query.set('namespace', part.namespace);
  if (part.kind === 'pod' && part.container !== undefined) query.set('container', part.container);
  return query;
}

async function refuseIfError(response: IncomingMessage): Promise<void> {
  const status = response.statusCode ?? 500;
  if (status < 400) return;
  const text = await textOf(response);
  let answer: { code?: string; details?: Record<string, string | number> } = {};
  try {
    answer = JSON.parse(text);
  } catch {
    // Not the lab's own words: shown as they are.
  }
  const code = answer.code !== undefined && answer.code in errorTable ? (answer.code as ErrorCode) : null;
  if (code === null) throw new MeshError('INTERNAL', { reason: `the lab answered ${status}: ${text.slice(0, 500)}` });
  throw new MeshError(code, answer.details ?? {});
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** Reads manifests: a folder means every `.yaml`, `.yml` and `.json` file below it. Throws `INPUT_UNREADABLE`. */
export function readDocuments(what: readonly (string | LabDocument)[]): LabDocument[] {
  return what.flatMap((each) => (typeof each === 'string' ? readPath(each) : [each]));
}

function readPath(file: string): LabDocument[] {
  try {
    if (file === '-') return [{ file: '-', text: readStandardInput() }];
    if (!statSync(file).isDirectory()) return [{ file, text: readFileSync(file, 'utf8') }];
    const names = readdirSync(file, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(ya?ml|json)$/.test(name),
    );
    return names
      .sort()
      .map((name) => ({ file: path.join(file, name), text: readFileSync(path.join(file, name), 'utf8') }));
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
}

function hasOwnUserNamespace(pid: number): boolean {
  try {
    return statSync(`/proc/${pid}/ns/user`).ino !== statSync('/proc/self/ns/user').ino;
  } catch {
    return false;
  }
}
