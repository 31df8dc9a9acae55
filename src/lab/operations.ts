// What can be asked of a running lab, one method per request of the control socket.

import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import type { StatusView } from '../model/views.ts';
import { mergePatch } from './api-server/patches.ts';
import { containerNamespaces } from './container.ts';
import type { TargetAnswer } from './control-client.ts';
import type {
  AdminPart,
  ApplyResult,
  LabDocument,
  LabFault,
  LabLink,
  LabPart,
  LabStatus,
  RestartResult,
} from './control-types.ts';
import { baseEnvironment } from './environment.ts';
import { kindOf } from './kinds.ts';
import type { Lab } from './lab.ts';
import { type FaultyLink, type LinkChange, LinkFaults } from './link-faults.ts';
import { readLogs } from './log-files.ts';
import { nodeLink, nodeNetns, placeNodeDevice } from './network.ts';
import { isReady, type KubeObject, type Pod, podIps } from './objects.ts';
import { PartFaults, type SendSignal } from './part-faults.ts';
import { placePodDevice, podDevice, podNetns } from './pod-links.ts';
import { podLogDir } from './pod-runner.ts';
import { controllerOf, isTerminating } from './pods.ts';
import { labLog, paths } from './private-files.ts';
import { netnsPath } from './run.ts';

export interface LabOperationsOptions {
  readonly lab: Lab;
  readonly end: () => void;
}

const waitPollMs = 50;
const faultTimeoutMs = 20_000;

/** Every method throws MeshErrors that the asker gets to read: `NOT_FOUND`, `TIMED_OUT`, `CONFIG_INVALID`. */
export class LabOperations {
  readonly #lab: Lab;
  readonly #end: () => void;
  readonly #links = new LinkFaults();
  readonly #parts = new PartFaults();

  constructor({ lab, end }: LabOperationsOptions) {
    this.#lab = lab;
    lab.store.onChange(({ action, object }) => {
      if (action === 'deleted' && object.kind === 'Pod') void this.#links.forget(podName(object));
    });
    this.#end = end;
  }

  status(): LabStatus {
    return { ...this.#lab.status(), faults: [...this.#links.active(), ...this.#parts.active()] };
  }

  objects(kind: string, name: string | undefined, namespace: string | undefined): readonly KubeObject[] {
    const { store } = this.#lab;
    const word = kindOf(kind, store.kinds());
    const found = store.list(word, namespace).filter((object) => name === undefined || object.metadata.name === name);
    if (name !== undefined && found.length === 0)
      throw notFound(`${word} ${namespace === undefined ? '' : `${namespace}/`}${name}`);
    return found.map((object) => {
      const status = this.#lab.system.statusOf(word, object.metadata.namespace ?? '', object.metadata.name);
      return status === null ? object : { ...object, status };
    });
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

  /** Merges fields into an object, which is then judged and taken as one that is applied. */
  patch(kind: string, namespace: string, name: string, patch: unknown): Promise<ApplyResult> {
    const word = kindOf(kind, this.#lab.store.kinds());
    const present = this.#lab.store.get(word, namespace, name);
    if (present === undefined) throw notFound(`${word} ${namespace === '' ? '' : `${namespace}/`}${name}`);
    const text = JSON.stringify(mergePatch(present, patch));
    return this.#lab.apply([{ file: `${word} ${namespace}/${name}`, text }], false);
  }

  target(kind: 'pod' | 'node', namespace: string, name: string, containerName: string | undefined): TargetAnswer {
    if (kind === 'node') {
      const node = this.#lab.nodes.find((each) => each.name === name);
      if (node === undefined) throw notFound(`node ${name}`);
      const nsenterArgs = ['--mount', '--uts', '--pid', `--net=${netnsPath(nodeNetns(name))}`];
      return { labPid: 1, nsenterArgs, env: baseEnvironment(), cwd: '/', image: '' };
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
        image: container?.image ?? '',
      };
    }
    throw new MeshError('NOT_FOUND', {
      what: `a running container ${containerName === undefined ? '' : `${containerName} `}in the pod`,
      hint: `${this.#lab.describe(pod)}; see: ambientctl lab logs ${namespace}/${pod.metadata.name}`,
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
    yield* readLogs(this.#logFiles(part, access), follow, signal);
  }

  #logFiles(part: AdminPart, access: boolean): readonly string[] {
    if (part.kind === 'waypoint') return this.#lab.waypoints.logFiles(part.namespace, part.name, access);
    return this.#lab.system.logFiles(part.kind === 'node' ? part.name : null, access);
  }

  async restart(part: LabPart, rolling: boolean, kill: boolean, timeoutMs: number): Promise<RestartResult> {
    if (part.kind === 'waypoint') {
      const deadline = Date.now() + timeoutMs;
      const result = await this.#lab.waypoints.restart(part.namespace, part.name, { rolling, kill, timeoutMs });
      // Its clients have to hear of it, as of any pod.
      await this.waitInStep(Math.max(deadline - Date.now(), 0));
      return result;
    }
    return this.#lab.system.restart(part, rolling, kill, timeoutMs);
  }

  async fault(fault: LabFault): Promise<void> {
    switch (fault.type) {
      case 'partition':
        return await this.#links.partition(
          this.#nodeLink(fault.node),
          fault.peer === 'controller' ? null : this.#nodeLink(fault.peer),
        );
      case 'heal':
        return await this.#heal(fault);
      case 'garbage':
        return await this.#parts.talkGarbage(() => this.restart({ kind: 'controller' }, false, true, faultTimeoutMs));
      case 'disk-full':
        this.#nodeLink(fault.node);
        return await this.#parts.fillDisk(fault.node);
      case 'bad-token': {
        this.#nodeLink(fault.node);
        const mend = this.#lab.system.spoilToken(fault.node);
        return this.#parts.hold(`node/${fault.node}`, `node/${fault.node} has a token that is refused`, mend);
      }
      case 'down':
        return this.#takeDown(fault.part);
      case 'stop':
      case 'cont':
      case 'kill':
      case 'slow':
        return this.#partFault(fault);
      default:
        await this.#links.change(this.#linkOf(fault), changeOf(fault));
    }
  }

  #partFault(fault: Extract<LabFault, { type: 'stop' | 'cont' | 'kill' | 'slow' }>): void {
    const name = partName(fault.part);
    const send = this.#sender(fault.part);
    if (fault.type === 'stop') this.#parts.stop(name, send);
    else if (fault.type === 'slow') this.#parts.slow(name, send, fault.ratio);
    else if (fault.type === 'cont') {
      this.#parts.goOn(name);
      send('SIGCONT');
    } else {
      send('SIGKILL');
      this.#parts.killed(name);
    }
  }

  #takeDown(part: LabPart): void {
    if (part.kind !== 'node' && part.kind !== 'controller') {
      throw new MeshError('USAGE', { reason: `'down' wants node/NAME or controller; of others, scale the Deployment` });
    }
    const name = partName(part);
    this.#parts.hold(name, `${name} is down`, this.#lab.system.takeDown(part));
  }

  async #heal({ node, part }: Extract<LabFault, { type: 'heal' }>): Promise<void> {
    if (node !== undefined) this.#nodeLink(node);
    const name = node !== undefined ? `node/${node}` : part === undefined ? null : partName(part);
    await this.#parts.heal(name);
    const link = part?.kind === 'pod' ? podName(this.pod(part.namespace, part.name)) : name?.replace(/^node\//, '');
    await this.#links.heal(link ?? null);
  }

  /** Sends signals to whatever process the part has at that time. */
  #sender(part: LabPart): SendSignal {
    if (part.kind === 'lab') throw new MeshError('USAGE', { reason: 'end a lab with: ambientctl lab down' });
    if (part.kind === 'waypoint') {
      return (signal) => this.#lab.waypoints.signal(part.namespace, part.name, signal);
    }
    if (part.kind !== 'pod') return (signal) => this.#lab.system.signal(part, signal);
    return (signal) => {
      const pod = this.pod(part.namespace, part.name);
      const container = this.#lab.kubelet.runnerOf(pod)?.container(part.container);
      if (container?.pid == null) throw notFound(`a running container of ${this.#lab.describe(pod)}`);
      container.signal(signal);
    };
  }

  #linkOf(link: LabLink): FaultyLink {
    if (link.node !== undefined) return this.#nodeLink(link.node);
    const pod = this.pod(link.pod.namespace, link.pod.name);
    const uid = pod.metadata.uid ?? '';
    const node = this.#lab.nodes.find((each) => each.name === pod.spec.nodeName);
    if (node === undefined || pod.spec.hostNetwork === true) throw notFound(`a link of ${podName(pod)}`);
    const placed = placePodDevice({ uid, node, addresses: podIps(pod) });
    const far = { farNetns: podNetns(uid), farDevice: 'eth0' };
    return { name: podName(pod), netns: nodeNetns(node.name), device: podDevice(uid), placed, ...far };
  }

  #nodeLink(name: string): FaultyLink {
    const node = this.#lab.nodes.find((each) => each.name === name);
    if (node !== undefined) {
      const far = { farNetns: nodeNetns(name), farDevice: 'eth0' };
      return { name, netns: null, device: nodeLink(node), placed: placeNodeDevice(node), ...far };
    }
    const names = this.#lab.nodes.map((each) => each.name);
    throw new MeshError('NOT_FOUND', { what: `node ${name}`, hint: `there are: ${names.join(', ')}` });
  }

  token(namespace: string, serviceAccount: string, podName: string | undefined, audience: string | undefined): string {
    const pod = podName === undefined ? null : this.pod(namespace, podName);
    const hourS = 3600;
    return this.#lab.issuer.token({ namespace, serviceAccount, pod, audience, lifetimeS: hourS });
  }

  /** What a path of the controller's admin port answers, as it comes. Throws USAGE, NOT_REACHABLE. */
  stream(requestPath: string, signal: AbortSignal): AsyncIterable<Buffer> {
    return this.#lab.system.streamController(requestPath, signal);
  }

  /** What the controller's live page answers to `GET requestPath`. */
  page(requestPath: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#lab.system.page(requestPath, signal);
  }

  async admin(part: AdminPart, method: string, requestPath: string, body: string): Promise<unknown> {
    const answer = await this.#lab.system.admin(part, method, requestPath, body);
    return part.kind === 'controller' && requestPath === '/status' ? this.#ownStatus(answer as StatusView) : answer;
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
        const late = ['the controller or a proxy does not answer'];
        const behind = await within(this.#lab.system.behind(), deadline - Date.now(), late);
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

/** What `promise` resolves with, or `otherwise` when that takes longer. */
async function within<T>(promise: Promise<T>, timeoutMs: number, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, Math.max(timeoutMs, 0), otherwise);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const podName = (pod: KubeObject) => `${pod.metadata.namespace}/${pod.metadata.name}`;

/** As people write it; two names of one part are one. */
function partName(part: LabPart): string {
  if (part.kind === 'pod') return `${part.namespace}/${part.name}`;
  if (part.kind === 'waypoint') return `waypoint/${part.namespace}/${part.name}`;
  return part.kind === 'node' ? `node/${part.name}` : part.kind;
}

type LinkFault = Extract<LabFault, { type: 'cut' | 'loss' | 'delay' | 'reorder' | 'rate' }>;

function changeOf(fault: LinkFault): LinkChange {
  if (fault.type === 'cut') return { cut: true };
  if (fault.type === 'loss') return { loss: fault.ratio };
  if (fault.type === 'delay') return { delayMs: fault.delayMs };
  if (fault.type === 'rate') return { rateBits: fault.bitsPerSecond };
  return { delayMs: fault.delayMs, reorder: fault.ratio };
}

function notFound(what: string): MeshError {
  return new MeshError('NOT_FOUND', { what, hint: 'see: ambientctl lab status' });
}
