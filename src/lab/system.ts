// The mesh's own programs in the lab: the controller in the fabric, one node proxy per node, each the real program
// under supervision, with the Pod objects that they would have in a cluster.
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { systemClock } from '../base/clock.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { modulePath } from '../base/project-files.ts';
import { pageOnAdmin } from '../model/page-views.ts';
import type { Resource } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { MeshView, NodeDump, StatusView } from '../model/views.ts';
import type { NodePlan } from './addresses.ts';
import { askHttp, type HttpAnswer, openHttp, streamHttp } from './ask-http.ts';
import type { AdminPart, LabPart, RestartResult } from './control-types.ts';
import { takeEvents } from './controller-events.ts';
import type { Lab } from './lab.ts';
import { lastLines } from './log-files.ts';
import { MeshMirror } from './mesh-mirror.ts';
import { nodeNetns } from './network.ts';
import type { Pod } from './objects.ts';
import { paths } from './private-files.ts';
import { type Bind, inRootfs } from './rootfs.ts';
import type { ShownStatus } from './status-keeper.ts';
import { type Replaced, Supervised } from './supervised.ts';
import {
  clusterDomain,
  clusterId,
  controllerFolders,
  giveToController,
  nodeAccount,
  nodeFiles,
  ports,
  systemFiles,
  systemNamespace,
  tokenAudience,
  trustDomain,
  writeControllerFiles,
  writeNodeFiles,
  writeToken,
} from './system-config.ts';
import { controllerPod, controllerPodName, nodePodName, nodeProxyPod, withReadiness } from './system-pods.ts';
import { systemPath } from './tools.ts';

interface NodeProxy {
  readonly plan: NodePlan;
  readonly process: Supervised;
  ready: boolean;
  /** The proxy has captured its node's traffic at least once: from then on nothing of it leaks. */
  captured: boolean;
  /** What its readiness waits for. */
  waits: string;
  readonly waiters: (() => void)[];
}

/** A program outside of any pod, with what of the lab it sees from within an image. */
interface SystemProgram {
  readonly name: string;
  readonly program: 'ambient-controller' | 'ambient-node';
  readonly config: string;
  readonly netns: string | null;
  readonly logFile: string;
  readonly binds: readonly Bind[];
}

const tokenLifetimeS = 3600;
const tokenRefreshMs = 20 * 60_000;
const pollUnreadyMs = 60;
const pollReadyMs = 500;
const askTimeoutMs = 2_000;
const adminTimeoutMs = 10_000;
/** Two proxies share the admin port while one replaces the other, and either may answer. */
const adminTriesMax = 50;
/** What a proxy says when its drain is over, as text or as JSON; see `src/node/start-node.ts`. */
const drainedWords = /\bpid"?[=:](\d+),? ?"?left"?[=:](\d+)/;
const drainedWithinLines = 50;

/** The programs of the mesh: their configuration, their processes, their state. */
export class MeshSystem {
  readonly #lab: Lab;
  readonly #log: (line: string) => void;
  readonly #mirror: MeshMirror;
  readonly #proxies = new Map<string, NodeProxy>();
  #controller: Supervised | null = null;
  /** Nodes whose proxies have a token that is refused. */
  readonly #spoilt = new Set<string>();
  #closed = false;

  constructor(lab: Lab, log: (line: string) => void) {
    this.#lab = lab;
    this.#log = log;
    const rootNamespaces = [systemNamespace, 'istio-system'];
    const now = () => systemClock.now();
    this.#mirror = new MeshMirror({ store: lab.store, trustDomain, clusterId, clusterDomain, rootNamespaces, now });
  }

  get #enabled(): boolean {
    return this.#lab.options.mesh;
  }

  /** Writes configuration and tokens, and the objects of the mesh's own programs. */
  prepare(ensureNamespace: (name: string) => void): void {
    if (!this.#enabled) return;
    const { nodes, options, store, issuer } = this.#lab;
    ensureNamespace(systemNamespace);
    for (const name of [nodeAccount, 'ambient-controller']) {
      store.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: systemNamespace } });
    }
    writeControllerFiles(options.controllerConfig, Date.now());
    issuer.writeJwks(systemFiles.jwks);
    if (options.rootfs !== null) giveToController(options.rootfs.controller.userId);
    for (const plan of nodes) {
      store.put(nodeProxyPod(plan, Date.now()));
      writeNodeFiles(plan, options.nodeConfig);
    }
    if (options.apiServer && nodes[0] !== undefined) store.put(controllerPod(nodes[0], Date.now()));
    this.#refreshTokens();
  }

  start(): void {
    if (!this.#enabled) return;
    this.#controller = this.#supervised({
      name: 'controller',
      program: 'ambient-controller',
      config: systemFiles.controllerConfig,
      netns: null,
      logFile: systemFiles.controllerLog,
      binds: [...controllerFolders.map((folder) => ({ folder, isWritable: true })), { folder: paths.objects }],
    });
    this.#controller.start();
    void this.#followController();
    for (const plan of this.#lab.nodes) {
      const { dir, config, log } = nodeFiles(plan.name);
      const roots = path.dirname(systemFiles.roots);
      const process = this.#supervised({
        name: `node proxy ${plan.name}`,
        program: 'ambient-node',
        config,
        netns: nodeNetns(plan.name),
        logFile: log,
        binds: [{ folder: dir, isWritable: true }, { folder: paths.logs, isWritable: true }, { folder: roots }],
      });
      const proxy: NodeProxy = {
        plan,
        process,
        ready: false,
        captured: false,
        waits: 'it has not started yet',
        waiters: [],
      };
      this.#proxies.set(plan.name, proxy);
      process.start();
      void this.#follow(proxy);
    }
  }

  close(): void {
    this.#closed = true;
    this.#controller?.close();
    for (const proxy of this.#proxies.values()) proxy.process.close();
  }

  /** Resolves when the node's proxy captures what its pods send; at once when there is no mesh. */
  captured(nodeName: string): Promise<void> {
    const proxy = this.#proxies.get(nodeName);
    if (!this.#enabled || proxy?.captured === true) return Promise.resolve();
    if (proxy === undefined)
      return new Promise((resolve) => setTimeout(resolve, pollUnreadyMs)).then(() => this.captured(nodeName));
    return new Promise((resolve) => proxy.waiters.push(resolve));
  }

  isReady(nodeName: string): boolean {
    return this.#proxies.get(nodeName)?.ready ?? false;
  }

  /** Proxies that are not ready, in words. */
  pending(): string[] {
    return [...this.#proxies.values()]
      .filter((proxy) => !proxy.ready)
      .map((proxy) => `the proxy of ${proxy.plan.name} is not ready: ${proxy.waits}`);
  }

  check(resources: readonly Resource[]): readonly ResourceIssue[] {
    return this.#mirror.check(resources);
  }

  /** The conditions of an object; null for one that carries none. */
  statusOf(kind: string, namespace: string, name: string): ShownStatus | null {
    return this.#mirror.statusOf(kind, namespace, name);
  }

  isEnrolled(pod: Pod): boolean {
    return this.#enabled && this.#mirror.isEnrolled(pod.metadata.namespace ?? '', pod.metadata.name);
  }

  /** What the controller has not read yet and proxies that have not applied everything, in words. */
  async behind(): Promise<string[]> {
    if (!this.#enabled) return [];
    try {
      const mesh = (await this.#askController('GET', '/mesh', '')) as MeshView;
      if (!this.#mirror.agreesWith(mesh)) return ['the controller has not read every object yet'];
      const { proxies } = (await this.#askController('GET', '/status', '')) as StatusView;
      const nodes = [...this.#proxies.keys()].map((name) => {
        const what = `the proxy of ${name}`;
        return { what, view: proxies.find((each) => each.kind === 'node' && each.node === name) };
      });
      const waypoints = this.#lab.waypoints.allPods().map(({ metadata: { name } }) => {
        return {
          what: `waypoint ${name}`,
          view: proxies.find((each) => each.kind === 'waypoint' && each.name === name),
        };
      });
      return [...nodes, ...waypoints].flatMap(({ what, view }) => {
        if (view === undefined) return [`${what} has not called the controller`];
        return view.inStep ? [] : [`${what} has not applied everything`];
      });
    } catch (error) {
      return [`the controller does not answer: ${messageOf(error)}${this.#lastWords(systemFiles.controllerLog)}`];
    }
  }

  /**
   * Asks the admin port of a node's proxy, a waypoint or the controller; returns its JSON, or `{text}` when it is none.
   */
  async admin(part: AdminPart, method: string, requestPath: string, body: string): Promise<unknown> {
    if (!this.#enabled)
      throw new MeshError('NOT_FOUND', { what: 'the mesh', hint: 'this lab was started without one' });
    if (part.kind === 'controller') return await this.#askController(method, requestPath, body);
    if (part.kind === 'waypoint') {
      return parsed(await this.#lab.waypoints.admin(part.namespace, part.name, method, requestPath, body));
    }
    const proxy = this.#proxy(part.name);
    for (let tries = 0; ; tries++) {
      const answer = parsed(await this.#askNode(proxy, ports.admin, method, requestPath, body, adminTimeoutMs));
      const pid = (answer as Partial<NodeDump> | null)?.pid;
      if (typeof pid !== 'number' || pid === proxy.process.pid || tries > adminTriesMax) return answer;
    }
  }

  /** See `streamHttp`. */
  streamController(requestPath: string, signal: AbortSignal): AsyncIterable<Buffer> {
    return streamHttp('127.0.0.1', ports.admin, requestPath, signal);
  }

  /** What the controller's live page answers, by the admin port. */
  page(requestPath: string, signal: AbortSignal): Promise<IncomingMessage> {
    return openHttp('127.0.0.1', ports.admin, `${pageOnAdmin}${requestPath}`, signal);
  }

  logFiles(node: string | null, access: boolean): readonly string[] {
    if (node === null) return access ? [] : [systemFiles.controllerLog];
    const { log, accessLog } = nodeFiles(this.#proxy(node).plan.name);
    return access ? [accessLog] : [log, accessLog];
  }

  /**
   * Restarts a part; resolves when the new one is ready and, when rolling, the old one has ended or the time is over.
   * Throws `TIMED_OUT`, `NOT_FOUND`.
   */
  async restart(
    part: Exclude<LabPart, { kind: 'waypoint' }>,
    rolling: boolean,
    kill: boolean,
    timeoutMs: number,
  ): Promise<RestartResult> {
    if (part.kind === 'pod' || part.kind === 'lab')
      throw new MeshError('USAGE', {
        reason:
          'node proxies, waypoints and the controller can be restarted; delete a pod, and its workload makes a new one',
      });
    const deadline = Date.now() + timeoutMs;
    const signal = kill ? 'SIGKILL' : 'SIGTERM';
    if (part.kind === 'controller') {
      await this.#controller?.restart(signal);
      await until(deadline, 'the controller', async () => {
        const answer = await askHttp(question('127.0.0.1', ports.readiness, '/healthz/ready'));
        return answer.status === 200;
      });
      return { replaced: null };
    }
    const proxy = this.#proxy(part.name);
    const isUp = (pid: () => number | null) => async () => {
      const dump = (await this.#dump(proxy)) as Partial<NodeDump>;
      return dump.pid === pid() && dump.ready === true;
    };
    if (rolling) {
      const what = `the new proxy of ${part.name}`;
      const old = await proxy.process.replace((pid) =>
        until(
          deadline,
          what,
          isUp(() => pid),
        ),
      );
      return { replaced: old === null ? null : await this.#drained(proxy, old, deadline) };
    }
    proxy.ready = false;
    await proxy.process.restart(signal);
    await until(
      deadline,
      `the proxy of ${part.name}`,
      isUp(() => proxy.process.pid),
    );
    proxy.ready = true;
    return { replaced: null };
  }

  /** How the drain of a replaced proxy went: its exit code, and what it says in its log about connections left. */
  async #drained(proxy: NodeProxy, old: Replaced, deadline: number): Promise<RestartResult['replaced']> {
    const late = new Promise<null>((resolve) => setTimeout(resolve, Math.max(0, deadline - Date.now()), null));
    const exit = await Promise.race([old.ended, late]);
    const lines = lastLines(nodeFiles(proxy.plan.name).log, drainedWithinLines);
    const words = lines.map((line) => drainedWords.exec(line)).findLast((match) => Number(match?.[1]) === old.pid);
    return { pid: old.pid, exitCode: exit?.code ?? null, left: words == null ? null : Number(words[2]) };
  }

  /** Sends a signal to a part. Throws `NOT_FOUND` when it has no process. */
  signal(part: Extract<LabPart, { kind: 'node' | 'controller' }>, signal: NodeJS.Signals): void {
    const process = part.kind === 'controller' ? this.#controller : this.#proxy(part.name).process;
    if (part.kind === 'node' && signal === 'SIGKILL') this.#proxy(part.name).ready = false;
    if (process?.signal(signal) !== true) {
      throw new MeshError('NOT_FOUND', {
        what: `a process of ${part.kind}`,
        hint: 'it may just be starting; try again',
      });
    }
  }

  /** Kills a part, which stays down until the function that is returned is called. */
  takeDown(part: Extract<LabPart, { kind: 'node' | 'controller' }>): () => void {
    const process = part.kind === 'controller' ? this.#controller : this.#proxy(part.name).process;
    if (part.kind === 'node') this.#proxy(part.name).ready = false;
    process?.hold();
    return () => process?.release();
  }

  /** Gives a node's proxy a token for somebody else, until the function that is returned is called. */
  spoilToken(node: string): () => void {
    this.#spoilt.add(node);
    this.#writeToken(node);
    return () => {
      this.#spoilt.delete(node);
      this.#writeToken(node);
    };
  }

  #proxy(name: string): NodeProxy {
    const proxy = this.#proxies.get(name);
    if (proxy !== undefined) return proxy;
    const hint = `there are: ${[...this.#proxies.keys()].join(', ')}`;
    throw new MeshError('NOT_FOUND', { what: `a proxy on node ${name}`, hint });
  }

  #supervised({ name, program, config, netns, logFile, binds }: SystemProgram): Supervised {
    const { rootfs } = this.#lab.options;
    const entry = modulePath(`src/bin/${program}.ts`);
    const fromHere = [process.execPath, '--disable-warning=ExperimentalWarning', entry];
    const security = program === 'ambient-node' ? rootfs?.node : rootfs?.controller;
    const isImage = rootfs !== null && security !== undefined;
    const argv = isImage ? [...inRootfs(rootfs.dir, security, binds), program] : fromHere;
    const kept = process.env.HOME === undefined ? {} : { HOME: process.env.HOME };
    // What Node has compiled of the sources is kept, so that a program that is started again is there sooner.
    const cache = isImage ? {} : { NODE_COMPILE_CACHE: systemFiles.compiled };
    return new Supervised({
      name,
      netns,
      argv: [...argv, '--config', config],
      env: { ...kept, PATH: systemPath(), ...cache },
      logFile,
      clock: systemClock,
      random: Math.random,
      onEnd: this.#log,
    });
  }

  /** Asks for the readiness of a node's proxy for as long as the lab lives, and tells it to the pod's object. */
  async #follow(proxy: NodeProxy): Promise<void> {
    while (!this.#closed) {
      let ready = false;
      try {
        const answer = await this.#askNode(proxy, ports.readiness, 'GET', '/healthz/ready', '', askTimeoutMs);
        // Not the one in charge: either the next one, which starts, or the one before, which drains.
        if (proxy.ready && answer.pid !== null && answer.pid !== proxy.process.pid) {
          await new Promise((resolve) => setTimeout(resolve, pollUnreadyMs));
          continue;
        }
        ready = answer.status === 200;
        proxy.waits = ready ? '' : answer.body.trim();
      } catch (error) {
        proxy.waits = `${messageOf(error)}${this.#lastWords(nodeFiles(proxy.plan.name).log)}`;
      }
      this.#setReady(proxy, ready);
      await new Promise((resolve) => setTimeout(resolve, ready ? pollReadyMs : pollUnreadyMs));
    }
  }

  /** Tells the controller's readiness to its object, and takes its Events over. */
  async #followController(): Promise<void> {
    while (!this.#closed) {
      const asked = askHttp(question('127.0.0.1', ports.readiness, '/healthz/ready'));
      const ready = await asked.then(
        ({ status }) => status === 200,
        () => false,
      );
      this.#tellReadiness(controllerPodName, ready);
      if (ready) await takeEvents(this.#lab.store, askHttp(question('127.0.0.1', ports.admin, '/events')));
      await new Promise((resolve) => setTimeout(resolve, ready ? pollReadyMs : pollUnreadyMs));
    }
  }

  #tellReadiness(podName: string, ready: boolean): void {
    const pod = this.#lab.store.get<Pod>('Pod', systemNamespace, podName, '');
    if (pod !== undefined) this.#lab.store.put(withReadiness(pod, ready, Date.now()));
  }

  #setReady(proxy: NodeProxy, ready: boolean): void {
    proxy.ready = ready;
    if (ready && !proxy.captured) {
      proxy.captured = true;
      for (const resolve of proxy.waiters.splice(0)) resolve();
    }
    this.#tellReadiness(nodePodName(proxy.plan.name), ready);
  }

  #refreshTokens(): void {
    if (this.#closed) return;
    for (const plan of this.#lab.nodes) this.#writeToken(plan.name);
    systemClock.after(tokenRefreshMs, () => this.#refreshTokens());
  }

  #writeToken(node: string): void {
    const pod = this.#lab.store.get<Pod>('Pod', systemNamespace, nodePodName(node), '') ?? null;
    const account = { namespace: systemNamespace, serviceAccount: nodeAccount };
    const audience = this.#spoilt.has(node) ? 'somebody-else' : tokenAudience;
    writeToken(nodeFiles(node).token, this.#lab.issuer.token({ ...account, pod, audience, lifetimeS: tokenLifetimeS }));
  }

  async #dump(proxy: NodeProxy): Promise<unknown> {
    return parsed(await this.#askNode(proxy, ports.admin, 'GET', '/config_dump', '', askTimeoutMs));
  }

  async #askNode(
    proxy: NodeProxy,
    port: number,
    method: string,
    requestPath: string,
    body: string,
    timeoutMs: number,
  ): Promise<HttpAnswer> {
    const agent = this.#lab.agents.get(proxy.plan.name);
    if (agent === undefined)
      throw new MeshError('NOT_FOUND', { what: `node ${proxy.plan.name}`, hint: 'see: ambientctl lab status' });
    return await agent.request(method, port, requestPath, body, timeoutMs);
  }

  async #askController(method: string, requestPath: string, body: string): Promise<unknown> {
    try {
      return parsed(
        await askHttp({ ...question('127.0.0.1', ports.admin, requestPath), method, body, timeoutMs: adminTimeoutMs }),
      );
    } catch (error) {
      const hint = 'see: ambientctl lab logs controller';
      throw new MeshError(
        'NOT_REACHABLE',
        { what: 'the controller', reason: messageOf(error), hint },
        { cause: error },
      );
    }
  }

  #lastWords(file: string): string {
    const linesShown = 3;
    const lines = lastLines(file, linesShown);
    return lines.length === 0 ? '' : `; its log ends with:\n  ${lines.join('\n  ')}`;
  }
}

function question(host: string, port: number, requestPath: string) {
  return { method: 'GET', host, port, path: requestPath, body: '', timeoutMs: askTimeoutMs };
}

function parsed(answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch {
    return { status: answer.status, text: answer.body };
  }
}

/** Resolves when `check` says true; what it throws counts as false. Throws `TIMED_OUT`. */
async function until(deadline: number, what: string, check: () => Promise<boolean>): Promise<void> {
  for (;;) {
    if (await check().catch(() => false)) return;
    if (Date.now() > deadline)
      throw new MeshError('TIMED_OUT', { what, timeoutMs: 0, hint: 'see its log: ambientctl lab logs' });
    await new Promise((resolve) => setTimeout(resolve, pollUnreadyMs));
  }
}
