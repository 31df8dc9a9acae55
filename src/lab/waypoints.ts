// Plays the controller's part of deploying waypoints: each Gateway of the waypoint class gets what
// `waypoint-objects.ts` says, and loses it with the Gateway. The pods are run, probed and restarted like any other.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import { modulePath } from '../base/project-files.ts';
import { waypointContainer } from '../install/waypoint-parameters.ts';
import { waypointClasses } from '../model/waypoints.ts';
import { fabricAddresses } from './addresses.ts';
import type { HttpAnswer } from './ask-http.ts';
import type { RestartResult } from './control-types.ts';
import type { Kubelet } from './kubelet.ts';
import { isReady, type KubeObject, type Pod, type WorkloadObject } from './objects.ts';
import { podNetns } from './pod-links.ts';
import { podLogDir } from './pod-runner.ts';
import { controllerOf, isTerminating } from './pods.ts';
import { paths } from './private-files.ts';
import { inNetns } from './run.ts';
import type { ObjectStore } from './store.ts';
import { clusterId, ports, systemFiles, trustDomain } from './system-config.ts';
import { accessLogName, accessLogVolume, labWaypointObjects, restartedAnnotation } from './waypoint-objects.ts';

export interface WaypointDeployerOptions {
  readonly store: ObjectStore;
  /** Applies as a person would: services get their addresses. */
  readonly apply: (objects: readonly KubeObject[]) => void;
  readonly delete: (objects: readonly KubeObject[]) => void;
  readonly kubelet: () => Kubelet;
  readonly overrides: Readonly<Record<string, unknown>>;
}

const pollMs = 60;
const askTimeoutMs = 10_000;
const kinds = ['Deployment', 'Service', 'ConfigMap', 'ServiceAccount'] as const;

/** One per lab. */
export class WaypointDeployer {
  readonly #options: WaypointDeployerOptions;
  readonly #store: ObjectStore;
  #turns = 0;

  constructor(options: WaypointDeployerOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** Takes the next step for every Gateway; called whenever something has changed. */
  reconcile(): void {
    const gateways = this.#gateways();
    const uids = new Set(gateways.map((gateway) => gateway.metadata.uid));
    for (const kind of kinds) {
      const orphans = this.#store.list(kind).filter((object) => {
        const owner = controllerOf(object);
        return owner?.kind === 'Gateway' && !uids.has(owner.uid);
      });
      this.#options.delete(orphans);
    }
    for (const gateway of gateways) this.#deploy(gateway, this.#restartedAt(gateway));
  }

  /** The pods of a waypoint, ready ones first. Throws NOT_FOUND when there is no such waypoint. */
  pods(namespace: string, name: string): Pod[] {
    const gateway = this.#gateway(namespace, name);
    const sets = new Set(
      this.#store
        .list<WorkloadObject>('ReplicaSet', namespace)
        .filter((set) => this.#isOf(controllerOf(set)?.name ?? '', gateway) && controllerOf(set)?.kind === 'Deployment')
        .map((set) => set.metadata.uid),
    );
    return this.#store
      .list<Pod>('Pod', namespace)
      .filter((pod) => sets.has(controllerOf(pod)?.uid ?? ''))
      .sort((a, b) => Number(isReady(b)) - Number(isReady(a)));
  }

  /** Pods of all waypoints that are not ending. */
  allPods(): Pod[] {
    return this.#gateways()
      .flatMap(({ metadata }) => this.pods(metadata.namespace ?? '', metadata.name))
      .filter((pod) => !isTerminating(pod));
  }

  logFiles(namespace: string, name: string, access: boolean): string[] {
    return this.pods(namespace, name).flatMap((pod) => {
      const own = path.join(podLogDir(paths.logs, pod), `${waypointContainer}.log`);
      const accessLog = path.join(paths.pods, pod.metadata.uid ?? '', 'volumes', accessLogVolume, accessLogName);
      return access ? [accessLog] : [own, accessLog];
    });
  }

  /** Sends a signal to every pod of a waypoint. Throws NOT_FOUND when none runs. */
  signal(namespace: string, name: string, signal: NodeJS.Signals): void {
    const containers = this.pods(namespace, name).flatMap(
      (pod) => this.#options.kubelet().runnerOf(pod)?.container(waypointContainer) ?? [],
    );
    const running = containers.filter((container) => container.pid !== null);
    for (const container of running) container.signal(signal);
    if (running.length > 0) return;
    const hint = `see: ambientctl lab logs waypoint/${namespace}/${name}`;
    throw new MeshError('NOT_FOUND', { what: `a running pod of waypoint ${namespace}/${name}`, hint });
  }

  /**
   * Restarts a waypoint: its programs in their pods, or (`rolling`) pod by pod, new ones first. Resolves when all are
   * ready and the old ones have gone. Throws TIMED_OUT, NOT_FOUND.
   */
  async restart(
    namespace: string,
    name: string,
    how: { readonly rolling: boolean; readonly kill: boolean; readonly timeoutMs: number },
  ): Promise<RestartResult> {
    const before = this.pods(namespace, name).filter((pod) => !isTerminating(pod));
    const old = new Map(before.map((pod) => [pod.metadata.uid, restartsOf(pod)]));
    if (how.rolling) this.#deploy(this.#gateway(namespace, name), `${Date.now()}-${++this.#turns}`);
    else this.signal(namespace, name, how.kill ? 'SIGKILL' : 'SIGTERM');
    const deadline = Date.now() + how.timeoutMs;
    for (;;) {
      const now = this.pods(namespace, name);
      const isDone = how.rolling
        ? now.every((pod) => !old.has(pod.metadata.uid) && isReady(pod))
        : now.every((pod) => restartsOf(pod) > (old.get(pod.metadata.uid) ?? -1) && isReady(pod));
      if (isDone && now.length >= before.length) return { replaced: null };
      if (Date.now() > deadline) {
        const hint = `see: ambientctl lab logs waypoint/${namespace}/${name}`;
        throw new MeshError('TIMED_OUT', { what: `waypoint ${namespace}/${name}`, timeoutMs: how.timeoutMs, hint });
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Asks the admin port of a waypoint's first ready pod, from within the pod. */
  async admin(namespace: string, name: string, method: string, requestPath: string, body: string): Promise<HttpAnswer> {
    const [pod] = this.pods(namespace, name);
    if (pod === undefined) {
      const hint = 'it may just be starting; see: ambientctl lab status';
      throw new MeshError('NOT_FOUND', { what: `a pod of waypoint ${namespace}/${name}`, hint });
    }
    const question = {
      method,
      host: '127.0.0.1',
      port: ports.admin,
      path: requestPath,
      body,
      timeoutMs: askTimeoutMs,
    };
    return await askWithin(podNetns(pod.metadata.uid ?? ''), question);
  }

  #gateways(): KubeObject[] {
    return this.#store
      .list('Gateway', undefined, 'gateway.networking.k8s.io')
      .filter(({ spec }) => waypointClasses.includes((spec as { gatewayClassName?: string })?.gatewayClassName ?? ''));
  }

  #gateway(namespace: string, name: string): KubeObject {
    const found = this.#gateways().find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    if (found !== undefined) return found;
    const names = this.#gateways().map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    const hint = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`;
    throw new MeshError('NOT_FOUND', { what: `waypoint ${namespace}/${name}`, hint });
  }

  #isOf(deployment: string, gateway: KubeObject): boolean {
    const { namespace = '', uid } = gateway.metadata;
    const found = this.#store.get('Deployment', namespace, deployment, 'apps');
    return found !== undefined && controllerOf(found)?.uid === uid;
  }

  #restartedAt(gateway: KubeObject): string {
    const { namespace = '', name } = gateway.metadata;
    const deployment = this.#store.get<WorkloadObject>('Deployment', namespace, name, 'apps');
    return deployment?.spec.template.metadata?.annotations?.[restartedAnnotation] ?? '';
  }

  #deploy(gateway: KubeObject, restartedAt: string): void {
    const { compiled } = systemFiles;
    mkdirSync(compiled, { recursive: true });
    const settings = {
      trustDomain,
      clusterId,
      controllerUrl: `https://${fabricAddresses[0]}:${ports.discovery}`,
      rootsPem: readFileSync(systemFiles.roots, 'utf8'),
      compiled,
      overrides: this.#options.overrides,
    };
    this.#options.apply(labWaypointObjects(gateway, settings, restartedAt));
  }
}

function restartsOf(pod: Pod): number {
  return (pod.status.containerStatuses ?? []).reduce((sum, each) => sum + each.restartCount, 0);
}

/** One small HTTP request from inside a network namespace; `ask-main.ts` makes it. */
function askWithin(netns: string, question: object): Promise<HttpAnswer> {
  const entry = modulePath('src/lab/ask-main.ts');
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', entry, JSON.stringify(question)];
  const [program = '', ...args] = [...inNetns(netns), ...command];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: askTimeoutMs });
    const chunks: Buffer[] = [];
    const words: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => words.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) return resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')) as HttpAnswer);
      const reason = Buffer.concat(words).toString('utf8').trim() || `exit code ${code}`;
      const hint = 'see its log: ambientctl lab logs waypoint/NS/NAME';
      reject(new MeshError('NOT_REACHABLE', { what: 'the waypoint', reason, hint }));
    });
  });
}
