// Where proofs happen: the namespaces of a run with their pods, requests from within them, and the flows that the
// proxies saw.

import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '../../base/errors.ts';
import type { Manifest } from '../../install/parts.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import type { ObjectName, OperableMesh } from '../mesh.ts';
import { applications, clientCommand, namespaces, type ProofPlaces } from './objects.ts';

/** What came of one request. */
export interface Answer {
  /** Null when none came. */
  readonly status: number | null;
  /** The pod that answered. */
  readonly pod: string | null;
  readonly error: string | null;
  readonly tookMs: number;
  /** As text, for who asked for more. */
  readonly body: string;
}

export interface AskOptions {
  readonly from?: 'client' | 'stranger';
  readonly count?: number;
  readonly method?: string;
  readonly headers?: readonly string[];
}

export interface BedOptions extends ProofPlaces {
  /** For pods to become ready, and waypoints. */
  readonly timeoutMs: number;
  /** What was applied has reached every proxy by then, and what they saw the controller. */
  readonly settleMs: number;
  readonly signal: AbortSignal;
}

/** The reason why something does not hold; null when it does. */
export type Reason = string | null;

const requestTimeoutMs = 5_000;
const programTimeoutMs = 60_000;
const lookMs = 150;

/** The place of one run. */
export class ProofBed {
  readonly mesh: OperableMesh;
  readonly options: BedOptions;
  #waypoint: Promise<void> | null = null;

  constructor(mesh: OperableMesh, options: BedOptions) {
    this.mesh = mesh;
    this.options = options;
  }

  get namespace(): string {
    return this.options.namespace;
  }

  get isOneNode(): boolean {
    return this.options.near === this.options.far;
  }

  /** Makes namespaces and pods, and resolves when all are ready. Rejects with TIMED_OUT, and what is refused. */
  async setUp(say: (missing: string) => void): Promise<void> {
    for (const one of [...namespaces(this.options), ...applications(this.options)]) await this.apply(one);
    await this.#untilReady(say);
  }

  /** Takes everything away, as far as it is there, and resolves when it has gone; also after Ctrl-C. */
  async tearDown(): Promise<void> {
    const names = [this.options.namespace, this.options.outside];
    for (const name of names) {
      await this.mesh.remove({ kind: 'Namespace', namespace: '', name }).catch((error: unknown) => {
        if (MeshError.from(error).code !== 'NOT_FOUND') throw error;
      });
    }
    const deadlineMs = Date.now() + this.options.timeoutMs;
    for (;;) {
      const all = (await this.mesh.objects('Namespace')) as readonly ConditionedObject[];
      if (!all.some(({ metadata }) => names.includes(metadata.name))) return;
      if (Date.now() > deadlineMs) {
        const { timeoutMs } = this.options;
        const hint = 'see: kubectl get namespaces';
        throw new MeshError('TIMED_OUT', { what: `the end of ${names.join(' and ')}`, timeoutMs, hint });
      }
      await sleep(lookMs);
    }
  }

  async apply(manifest: Manifest): Promise<void> {
    throwIfInterrupted(this.options.signal);
    await this.mesh.apply(manifest);
  }

  async remove({ kind, metadata }: Manifest): Promise<void> {
    const { namespace = '', name } = metadata;
    await this.mesh.remove({ kind, namespace, name }).catch((error: unknown) => {
      if (MeshError.from(error).code !== 'NOT_FOUND') throw error;
    });
  }

  /** An object as it is now; null without one. */
  async object<Found extends object>({ kind, namespace, name }: ObjectName): Promise<Found | null> {
    const all = (await this.mesh.objects(kind)) as readonly { metadata: { name: string; namespace?: string } }[];
    const found = all.find(({ metadata }) => metadata.name === name && (metadata.namespace ?? '') === namespace);
    return (found as unknown as Found) ?? null;
  }

  /** Makes requests from within a pod. */
  async ask(
    url: string,
    { from = 'client', count = 1, method = 'GET', headers = [] }: AskOptions = {},
  ): Promise<Answer[]> {
    throwIfInterrupted(this.options.signal);
    const namespace = from === 'client' ? this.options.namespace : this.options.outside;
    const more = [`--count=${count}`, `--method=${method}`, `--timeout=${requestTimeoutMs}ms`];
    const argv = [...clientCommand(this.options.image), ...more, ...headers.flatMap((one) => ['-H', one]), url];
    const { stdout, stderr, code } = await this.mesh.run({ namespace, name: from }, argv, programTimeoutMs);
    const answers = answersOf(stdout);
    if (answers.length === count) return answers;
    const reason = stderr.trim() || `it ended with ${code}`;
    throw new MeshError('NOT_REACHABLE', {
      what: `a client in ${namespace}/${from}`,
      reason,
      hint: 'does the pod run?',
    });
  }

  /** Asks again until `wanted` finds nothing to object; the last objection otherwise. */
  async until(wanted: () => Promise<Reason>, limitMs = this.options.settleMs): Promise<Reason> {
    const deadlineMs = Date.now() + limitMs;
    for (;;) {
      const reason = await wanted();
      if (reason === null || Date.now() > deadlineMs) return reason;
      await sleep(lookMs, undefined, { signal: this.options.signal });
    }
  }

  /** The latest flow that fits, of those that proxies remember; null for none. */
  async seen(fits: (flow: FlowView) => boolean): Promise<FlowView | null> {
    let found: FlowView | null = null;
    for await (const line of this.mesh.stream('/flows?', this.options.signal)) {
      const flow = JSON.parse(line) as FlowView;
      if (fits(flow) && (found === null || flow.time > found.time)) found = flow;
    }
    return found;
  }

  /** The waypoint with its routes, made when it is first asked for. */
  waypoint(objects: readonly Manifest[]): Promise<void> {
    this.#waypoint ??= this.#makeWaypoint(objects);
    return this.#waypoint;
  }

  async #makeWaypoint(objects: readonly Manifest[]): Promise<void> {
    for (const one of objects) await this.apply(one);
    const gateway = { kind: 'Gateway', namespace: this.namespace, name: 'waypoint' };
    const missing = await this.until(async () => {
      const found = await this.object<ConditionedObject>(gateway);
      const programmed = found?.status?.conditions?.find(({ type }) => type === 'Programmed');
      return programmed?.status === 'True' ? null : (programmed?.message ?? 'nobody has looked at its Gateway');
    }, this.options.timeoutMs);
    if (missing === null) return;
    const { timeoutMs } = this.options;
    const hint = `${missing}; see: ambientctl waypoint status waypoint -n ${this.namespace}`;
    throw new MeshError('TIMED_OUT', { what: 'the waypoint', timeoutMs, hint });
  }

  /** Resolves when every pod of the run is ready. */
  async #untilReady(say: (missing: string) => void): Promise<void> {
    const { namespace, outside, timeoutMs } = this.options;
    const missing = await this.until(async () => {
      const all = (await this.mesh.objects('Pod')) as readonly ConditionedObject[];
      const own = all.filter(({ metadata }) => [namespace, outside].includes(metadata.namespace ?? ''));
      const waiting = own.filter(({ status }) => !isReady(status)).map(({ metadata }) => metadata.name);
      const reason = own.length < 4 ? 'pods to be there' : waiting.length > 0 ? `pods ${waiting.join(', ')}` : null;
      if (reason !== null) say(reason);
      return reason;
    }, timeoutMs);
    if (missing === null) return;
    const hint = `see: kubectl -n ${namespace} describe pods`;
    throw new MeshError('TIMED_OUT', { what: missing, timeoutMs, hint });
  }

  /** Resolves with null when a single pod is ready. */
  ready(name: string): Promise<Reason> {
    return this.until(async () => {
      const pod = await this.object<ConditionedObject>({ kind: 'Pod', namespace: this.namespace, name });
      return isReady(pod?.status) ? null : `pod ${name} is not ready`;
    }, this.options.timeoutMs);
  }
}

interface ConditionedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

function isReady(status: ConditionedObject['status']): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}

/** The answers in what a client wrote: a block of lines for each, `[N] Name=value`, `[N body] …`, `[N error] …`. */
function answersOf(text: string): Answer[] {
  const blocks = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, number = '', rest = ''] = /^\[(\d+)\]?\s(.*)$/.exec(line) ?? [];
    if (number === '') continue;
    blocks.set(number, [...(blocks.get(number) ?? []), rest]);
  }
  return [...blocks.values()].map((lines) => {
    const value = (start: string): string | null => {
      const found = lines.find((line) => line.startsWith(start));
      return found === undefined ? null : found.slice(start.length);
    };
    const body = lines
      .filter((line) => line.startsWith('body] '))
      .map((line) => line.slice('body] '.length))
      .join('\n');
    const status = value('StatusCode=');
    return {
      status: status === null ? null : Number(status),
      pod: /"pod": ?"([^"]*)"/.exec(body)?.[1] ?? null,
      // Of the client's own option, which nobody sees here.
      error: value('error] ')?.replace(/; see --timeout$/, '') ?? null,
      tookMs: Number.parseFloat(value('Latency=') ?? '0'),
      body,
    };
  });
}

/** Why an answer is not the one of a pod; null when it is. */
export function notFrom(answer: Answer | undefined, pod: string): Reason {
  if (answer === undefined) return 'nothing came back';
  if (answer.status === null) return `no answer: ${answer.error ?? 'it ended'}`;
  if (answer.status !== 200) return `answer ${answer.status}`;
  return answer.pod === pod ? null : `${answer.pod ?? 'somebody'} answered, and not ${pod}`;
}

/** Throws an AbortError after Ctrl-C. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new DOMException('interrupted', 'AbortError');
}
