// What can be asked of a running lab, one method per request of the control socket.

import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import type { StatusView } from '../model/views.ts';
import { containerNamespaces } from './container.ts';
import type { TargetAnswer } from './control-client.ts';
import type { ApplyResult, LabDocument, LabFault, LabPart, LabStatus, RestartResult } from './control-types.ts';
import { LinkFaults } from './faults.ts';
import { kindOf } from './kinds.ts';
import type { Lab } from './lab.ts';
import { readLogs } from './log-files.ts';
import { nodeNetns, podNetns } from './network.ts';
import { isReady, type KubeObject, type Pod } from './objects.ts';
import { podLogDir } from './pod-runner.ts';
import { controllerOf, isTerminating } from './pods.ts';
import { labLog, paths } from './private-files.ts';
import { netnsPath } from './run.ts';
import { systemPath } from './tools.ts';

export interface LabOperationsOptions {
  readonly lab: Lab;
  readonly end: () => void;
}

const waitPollMs = 50;
const signals = { stop: 'SIGSTOP', cont: 'SIGCONT', kill: 'SIGKILL' } as const;

/** Every method throws MeshErrors that the asker gets to read: `NOT_FOUND`, `TIMED_OUT`, `CONFIG_INVALID`. */
export class LabOperations {
  readonly #lab: Lab;
  readonly #end: () => void;
  readonly #faults: LinkFaults;

  constructor({ lab, end }: LabOperationsOptions) {
    this.#lab = lab;
    this.#faults = new LinkFaults(() => lab.nodes);
    this.#end = end;
  }

  status(): LabStatus {
    return this.#lab.status();
  }

  objects(kind: string, name: string | undefined, namespace: string | undefined): readonly KubeObject[] {
    const { store } = this.#lab;
    const word = kindOf(kind, store.kinds());
    const found = store.list(word, namespace).filter((object) => name === undefined || object.metadata.name === name);
    if (name !== undefined && found.length === 0)
      throw notFound(`${word} ${namespace === undefined ? '' : `${namespace}/`}${name}`);
    return found;
  }

  async apply(documents: readonly LabDocument[], timeoutMs: number): Promise<ApplyResult> {
    const result = await this.#lab.apply(documents);
    if (result.refused.length === 0) await this.waitInStep(timeoutMs);
    return result;
  }

  async delete(documents: readonly LabDocument[], timeoutMs: number): Promise<ApplyResult> {
    const result = await this.#lab.delete(documents);
    if (result.refused.length === 0) await this.waitInStep(timeoutMs);
    return result;
  }

  target(kind: 'pod' | 'node', namespace: string, name: string, containerName: string | undefined): TargetAnswer {
    if (kind === 'node') {
      const node = this.#lab.nodes.find((each) => each.name === name);
      if (node === undefined) throw notFound(`node ${name}`);
      const nsenterArgs = ['--mount', '--uts', '--pid', `--net=${netnsPath(nodeNetns(name))}`];
      return { labPid: 1, nsenterArgs, env: baseEnvironment(), cwd: '/' };
    }
    const pod = this.pod(namespace, name);
    const container = this.#lab.kubelet.runnerOf(pod)?.container(containerName);
    const pid = container?.pid ?? null;
    const plan = container?.plan;
    if (pid !== null && plan !== null && plan !== undefined) {
      return {
        labPid: pid,
        nsenterArgs: containerNamespaces,
        env: { ...baseEnvironment(), ...plan.env },
        cwd: plan.cwd,
      };
    }
    throw new MeshError('NOT_FOUND', {
      what: `running container ${containerName ?? ''} of ${this.#lab.describe(pod)}`,
      hint: `see: ambientctl lab logs ${namespace}/${pod.metadata.name}`,
    });
  }

  /** The network namespace of a pod, for a look at one whose container does not run. */
  podNamespace(pod: Pod): string {
    return netnsPath(podNetns(pod.metadata.uid ?? ''));
  }

  async *logs(part: LabPart, follow: boolean, access: boolean, signal: AbortSignal): AsyncIterable<Buffer> {
    if (part.kind === 'pod') {
      const pod = this.pod(part.namespace, part.name);
      const container = part.container ?? pod.spec.containers[0]?.name ?? '';
      yield* readLogs([path.join(podLogDir(paths.logs, pod), `${container}.log`)], follow, signal);
      return;
    }
    if (part.kind === 'lab') {
      yield* readLogs([labLog], follow, signal);
      return;
    }
    yield* readLogs(this.#lab.system.logFiles(part.kind === 'node' ? part.name : null, access), follow, signal);
  }

  restart(part: LabPart, rolling: boolean, kill: boolean, timeoutMs: number): Promise<RestartResult> {
    return this.#lab.system.restart(part, rolling, kill, timeoutMs);
  }

  async fault(fault: LabFault): Promise<void> {
    if (!('part' in fault)) return await this.#faults.apply(fault);
    const signal = signals[fault.type];
    if (fault.part.kind === 'lab') throw new MeshError('USAGE', { reason: 'end a lab with: ambientctl lab down' });
    if (fault.part.kind !== 'pod') {
      this.#lab.system.signal(fault.part, signal);
      return;
    }
    const pod = this.pod(fault.part.namespace, fault.part.name);
    const container = this.#lab.kubelet.runnerOf(pod)?.container(fault.part.container);
    if (container?.pid == null) throw notFound(`a running container of ${this.#lab.describe(pod)}`);
    container.signal(signal);
  }

  token(namespace: string, serviceAccount: string, podName: string | undefined, audience: string | undefined): string {
    const pod = podName === undefined ? null : this.pod(namespace, podName);
    const hourS = 3600;
    return this.#lab.issuer.token({ namespace, serviceAccount, pod, audience, lifetimeS: hourS });
  }

  async admin(node: string | null, method: string, requestPath: string, body: string): Promise<unknown> {
    const answer = await this.#lab.system.admin(node, method, requestPath, body);
    return node === null && requestPath === '/status' ? this.#ownStatus(answer as StatusView) : answer;
  }

  /** The controller reads the lab's resolved objects; a person wrote manifests, and wants to read of those. */
  #ownStatus(status: StatusView): StatusView {
    const issues = status.issues.map((issue) => {
      return { ...issue, place: this.#lab.placeOf(issue.kind, issue.namespace, issue.name) ?? issue.place };
    });
    return { ...status, sources: this.#lab.sources(), issues };
  }

  /** Resolves when everything is ready and in step. Throws `TIMED_OUT` with what is not. */
  async waitInStep(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      await this.#lab.settled();
      const missing = this.#lab.pending();
      if (missing.length === 0) {
        const behind = await this.#lab.system.behind();
        // The answer took time: what was ready before it must still be.
        if (behind.length === 0 && this.#lab.pending().length === 0) return;
        missing.push(...behind);
      }
      if (Date.now() > deadline)
        throw new MeshError('TIMED_OUT', { what: 'the lab', timeoutMs, hint: this.#lab.explained(missing) });
      await new Promise((resolve) => setTimeout(resolve, waitPollMs));
    }
  }

  down(): void {
    // After the answer has left.
    setImmediate(() => this.#end());
  }

  /** A pod by its name, or one of `deploy/NAME` (`sts/`, `ds/` …): a ready one first. */
  pod(namespace: string, name: string): Pod {
    const slash = name.indexOf('/');
    if (slash < 0) {
      const pod = this.#lab.store.get<Pod>('Pod', namespace, name, '');
      if (pod === undefined) throw notFound(`pod ${namespace}/${name}`);
      return pod;
    }
    const kind = kindOf(name.slice(0, slash), this.#lab.store.kinds());
    const owner = this.#lab.store.get(kind, namespace, name.slice(slash + 1));
    if (owner === undefined) throw notFound(`${kind} ${namespace}/${name.slice(slash + 1)}`);
    const pods = this.#lab.store
      .list<Pod>('Pod', namespace)
      .filter((pod) => this.#isOwnedBy(pod, owner) && !isTerminating(pod));
    const best = pods.find(isReady) ?? pods[0];
    if (best === undefined) throw notFound(`a pod of ${kind} ${namespace}/${name.slice(slash + 1)}`);
    return best;
  }

  #isOwnedBy(object: KubeObject, owner: KubeObject): boolean {
    if (object.metadata.uid === owner.metadata.uid) return true;
    const reference = controllerOf(object);
    if (reference === null) return false;
    if (reference.uid === owner.metadata.uid) return true;
    const above = this.#lab.store.get(reference.kind, object.metadata.namespace ?? '', reference.name);
    return above !== undefined && this.#isOwnedBy(above, owner);
  }
}

function baseEnvironment(): Record<string, string> {
  const kept = ['HOME', 'TERM', 'LANG', 'USER'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  return { ...Object.fromEntries(kept), PATH: systemPath() };
}

function notFound(what: string): MeshError {
  return new MeshError('NOT_FOUND', { what, hint: 'see: ambientctl lab status' });
}
