// One pod on its node: network, files, init containers one after the other, containers together, and the way out.
import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { NodePlan } from './addresses.ts';
import type { NodeAgent } from './agent.ts';
import type { ContainerPlan } from './container.ts';
import { ContainerRunner } from './container-runner.ts';
import { containerEnvironment, hostnameOf, type Lookup } from './environment.ts';
import { resolveCommand } from './images.ts';
import { nodeNetns } from './network.ts';
import type { Container, Pod, PodStatus } from './objects.ts';
import { type PodLink, podNetns } from './pod-links.ts';
import { withCondition } from './pods.ts';
import type { Rootfs } from './rootfs.ts';
import { rfc3339 } from './store.ts';
import { PodFiles, type VolumeInput } from './volumes.ts';

export interface PodHost {
  readonly node: NodePlan;
  readonly agent: NodeAgent;
  readonly clock: Clock;
  readonly random: () => number;
  readonly images: Readonly<Record<string, string>>;
  /** The image of the mesh's own programs, null when they run from here. */
  readonly rootfs: Rootfs | null;
  readonly logsDir: string;
  readonly podsDir: string;
  takeAddresses(): string[];
  releaseAddresses(addresses: readonly string[]): void;
  connect(link: PodLink): Promise<void>;
  disconnect(link: PodLink): Promise<void>;
  /** Resolves when the node may run pods: its proxy has captured what they will send. */
  admitted(): Promise<void>;
  lookup(namespace: string): Lookup;
  appProtocols(pod: Pod): ReadonlyMap<number, string>;
  volumes(pod: Pod): Pick<VolumeInput, 'token' | 'clusterRoots' | 'dns'>;
  /** Changes the pod's object; answers it, or null when it has gone. */
  update(change: (pod: Pod) => Pod): Pod | null;
}

export const podLogDir = (logsDir: string, pod: Pod) =>
  path.join(logsDir, 'pods', `${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`);

/** One pod from its network to its end; what goes wrong is in `problem` and in the pod's status. */
export class PodRunner {
  readonly #host: PodHost;
  #pod: Pod;
  #addresses: string[] = [];
  #link: PodLink | null = null;
  #files: PodFiles | null = null;
  #containers: ContainerRunner[] = [];
  #init: ContainerRunner | null = null;
  #stopped: Promise<void> | null = null;
  #initialized = false;
  #problem = '';

  constructor(pod: Pod, host: PodHost) {
    this.#pod = pod;
    this.#host = host;
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? '';
  }

  get namespace(): string {
    return this.#pod.metadata.namespace ?? '';
  }

  /** Why the pod is not ready, '' when there is nothing to say. */
  get problem(): string {
    if (this.#problem !== '') return this.#problem;
    const all = this.#init === null ? this.#containers : [this.#init];
    const failing = all.filter((each) => each.failing !== '');
    return failing.map((each) => (all.length > 1 ? `${each.name}: ${each.failing}` : each.failing)).join('; ');
  }

  container(name?: string): ContainerRunner | null {
    if (name === undefined) return this.#containers[0] ?? this.#init;
    return this.#containers.find((each) => each.name === name) ?? null;
  }

  /** Brings the pod up. Never throws: what goes wrong is told in the pod's status. */
  async start(): Promise<void> {
    try {
      await this.#sandbox();
      if (this.#stopped !== null) return;
      this.#problem = 'waits until the proxy of its node has captured its traffic';
      await this.#host.admitted();
      this.#problem = '';
      for (const init of this.#pod.spec.initContainers ?? []) {
        if (!(await this.#runInit(init))) return;
      }
      if (this.#stopped !== null) return;
      this.#initialized = true;
      this.#init = null;
      const { restartPolicy = 'Always' } = this.#pod.spec;
      this.#containers = this.#pod.spec.containers.map((each) =>
        this.#runner(each, restartPolicy, () => this.#publish()),
      );
      for (const container of this.#containers) container.start();
      this.#publish();
    } catch (error) {
      this.#problem = messageOf(error);
      this.#publish();
    }
  }

  /** Ends the pod: containers get SIGTERM and their grace period. Resolves when nothing of it is left. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  /** Projected tokens, before they end. */
  refreshTokens(): void {
    this.#files?.refreshTokens();
  }

  /** Files of a ConfigMap or Secret that has changed. */
  refreshFiles(kind: string, name: string): void {
    this.#files?.refresh(kind, name);
  }

  async #end(): Promise<void> {
    const all = [...this.#containers, ...(this.#init === null ? [] : [this.#init])];
    await Promise.all(all.map((each) => each.stop()));
    // Its namespace may never have come up.
    if (this.#link !== null) await this.#host.disconnect(this.#link).catch(() => {});
    this.#files?.remove();
    if (this.#link !== null) this.#host.releaseAddresses(this.#addresses);
  }

  async #sandbox(): Promise<void> {
    const { node } = this.#host;
    const isHost = this.#pod.spec.hostNetwork === true;
    this.#addresses = isHost ? [...node.addresses] : this.#host.takeAddresses();
    if (!isHost) {
      this.#link = { uid: this.uid, node, addresses: this.#addresses };
      await this.#host.connect(this.#link);
    }
    const ips = this.#addresses.map((ip) => ({ ip }));
    const place = { hostIP: node.addresses[0], hostIPs: node.addresses.map((ip) => ({ ip })) };
    const startTime = rfc3339(this.#host.clock.now());
    const first = ips[0] === undefined ? {} : { podIP: ips[0].ip };
    const updated = this.#host.update((pod) => ({
      ...pod,
      status: { ...pod.status, ...place, ...first, podIPs: ips, startTime },
    }));
    if (updated !== null) this.#pod = updated;
    const dir = path.join(this.#host.podsDir, this.uid);
    const lookup = this.#host.lookup(this.#pod.metadata.namespace ?? '');
    this.#files = new PodFiles({ pod: this.#pod, dir, lookup, ...this.#host.volumes(this.#pod) });
    this.#files.prepare();
  }

  /** True when the init container ended well. */
  async #runInit(container: Container): Promise<boolean> {
    const policy = this.#pod.spec.restartPolicy === 'Never' ? 'Never' : 'OnFailure';
    await new Promise<void>((resolve) => {
      const runner = this.#runner(container, policy, () => {
        this.#publish();
        if (runner.finished) resolve();
      });
      this.#init = runner;
      runner.start();
    });
    const ended = this.#init?.status().state.terminated;
    return this.#stopped === null && ended?.exitCode === 0;
  }

  #runner(container: Container, restartPolicy: string, onChange: () => void): ContainerRunner {
    const { agent, clock, random } = this.#host;
    const id = `${this.uid}/${container.name}`;
    const plan = () => this.#plan(container);
    const graceMs = (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    return new ContainerRunner({
      container,
      restartPolicy,
      graceMs,
      agent,
      clock,
      random,
      id,
      podIp: this.#addresses[0] ?? '',
      plan,
      onChange,
    });
  }

  #plan(container: Container): ContainerPlan | { reason: string; message: string; retry: boolean } {
    const files = this.#files;
    if (files === null) return { reason: 'ContainerCreating', message: 'the pod has no network yet', retry: true };
    const { images, rootfs } = this.#host;
    const command = resolveCommand(container, images, rootfs !== null);
    if (!command.ok) return { reason: 'ErrImageNeverPull', message: command.reason, retry: false };
    if (files.problem !== null) {
      files.prepareAgain();
      if (files.problem !== null) return { reason: 'CreateContainerConfigError', message: files.problem, retry: true };
    }
    const mounts = files.mountsOf(container);
    if (typeof mounts === 'string') return { reason: 'CreateContainerError', message: mounts, retry: false };
    const pod = this.#pod;
    const lookup = this.#host.lookup(pod.metadata.namespace ?? '');
    const made = containerEnvironment({ pod, container, lookup, appProtocols: this.#host.appProtocols(pod) });
    if (!made.ok) return { reason: 'CreateContainerConfigError', message: made.reason, retry: true };
    const netns = pod.spec.hostNetwork === true ? nodeNetns(this.#host.node.name) : podNetns(this.uid);
    const logFile = path.join(podLogDir(this.#host.logsDir, pod), `${container.name}.log`);
    const cwd = container.workingDir ?? '/';
    return {
      netns,
      hostname: hostnameOf(pod),
      mounts,
      runDir: files.runDir,
      argv: command.argv,
      image: command.isOfMesh === true ? rootfs : null,
      env: made.env,
      cwd,
      logFile,
    };
  }

  #publish(): void {
    const nowMs = this.#host.clock.now();
    const statuses = this.#containers.map((each) => each.status());
    const ready = this.#initialized && statuses.length > 0 && statuses.every((each) => each.ready);
    const phase = this.#phase();
    const over = phase === 'Succeeded' || phase === 'Failed';
    const problem = this.problem;
    const updated = this.#host.update((pod) => {
      const why = over ? 'PodCompleted' : 'ContainersNotReady';
      const reason = ready ? undefined : why;
      let next = withCondition(pod, 'PodReadyToStartContainers', this.#files !== null, nowMs);
      next = withCondition(next, 'Initialized', this.#initialized, nowMs);
      next = withCondition(next, 'ContainersReady', ready, nowMs, reason);
      next = withCondition(next, 'Ready', ready, nowMs, reason);
      const { message: _message, ...rest } = next.status;
      const status: PodStatus = {
        ...rest,
        phase,
        containerStatuses: statuses,
        ...(problem === '' ? {} : { message: problem }),
      };
      return { ...next, status };
    });
    if (updated !== null) this.#pod = updated;
  }

  #phase(): PodStatus['phase'] {
    const init = this.#init?.status().state.terminated;
    if (init !== undefined && init.exitCode !== 0) return 'Failed';
    if (!this.#initialized) return 'Pending';
    const states = this.#containers.map((each) => each.status().state);
    if (states.some((state) => state.waiting !== undefined && state.waiting.reason !== 'CrashLoopBackOff'))
      return 'Pending';
    if (states.every((state) => state.terminated !== undefined)) {
      return states.every((state) => state.terminated?.exitCode === 0) ? 'Succeeded' : 'Failed';
    }
    return 'Running';
  }
}
