// Starts a lab from outside: `unshare` into fresh namespaces, with the lab as the first process of its own pid
// namespace.
//
// Nothing of the host is touched, and nothing outlives the lab: its files live on a tmpfs of its own mount namespace,
// and the kernel ends every process and namespace of it when its first process ends, however that happens.
import { spawn } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { MeshError, messageOf } from '../base/errors.ts';
import { modulePath } from '../base/project-files.ts';
import type { PodNetworkKind } from './addresses.ts';
import { LabClient } from './control-client.ts';
import type { LabProgress } from './control-types.ts';
import { checkRootfs, type Rootfs } from './rootfs.ts';
import { defaultLabName, findRunningLab, listLabs } from './running.ts';
import { requireTools, systemPath } from './tools.ts';

export interface LaunchOptions {
  readonly name?: string;
  /** Files and folders of manifests; each is watched while the lab runs. */
  readonly paths: readonly string[];
  /** Nodes to make when the manifests name none. */
  readonly nodes?: number;
  /** How pods hang on nodes whose manifests do not say; default `routed`. */
  readonly podNetwork?: PodNetworkKind;
  /** Commands of images, as `--image` gives them. */
  readonly images?: Readonly<Record<string, string>>;
  /** Time for everything to be ready. */
  readonly timeoutMs?: number;
  readonly onProgress?: (progress: LabProgress) => void;
  /** Ends a lab that is not ready yet, at whatever point of its start. */
  readonly signal?: AbortSignal;
  /** The lab ends when this process ends, however it ends. */
  readonly foreground?: boolean;
  /** Without controller and proxies: the pods alone, on the same network. */
  readonly mesh?: boolean;
  /** Serve the cluster through the Kubernetes API too. */
  readonly apiServer?: boolean;
  /** Run the mesh's own programs from their image instead of from here; root alone can. */
  readonly rootfs?: Rootfs;
  /** Leave a lab that did not become ready running, to be looked at. */
  readonly keepOnFailure?: boolean;
  /**
   * Settings of the node proxies, the controller and the waypoints that differ from the defaults, by the fields of
   * their config files.
   */
  readonly nodeConfig?: Readonly<Record<string, unknown>>;
  readonly controllerConfig?: Readonly<Record<string, unknown>>;
  readonly waypointConfig?: Readonly<Record<string, unknown>>;
}

/** What `main.ts` gets as its second argument, as JSON. */
export interface LabOptions {
  readonly paths: readonly string[];
  readonly nodes: number;
  readonly podNetwork: PodNetworkKind;
  readonly images: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly foreground: boolean;
  readonly mesh: boolean;
  readonly apiServer: boolean;
  readonly rootfs: Rootfs | null;
  readonly nodeConfig: Readonly<Record<string, unknown>>;
  readonly controllerConfig: Readonly<Record<string, unknown>>;
  readonly waypointConfig: Readonly<Record<string, unknown>>;
}

export const defaultTimeoutMs = 60_000;
const defaultNodes = 2;
const nodesMax = 50;

/**
 * Starts a lab and resolves when every pod is ready and every proxy in step. Throws `CONFIG_INVALID` (bad manifests,
 * with their place), `TIMED_OUT` (with what is not ready), `TOOL_MISSING`, `USAGE` (a lab of that name runs already),
 * and an AbortError when `signal` aborts: nothing of the lab is left then.
 */
export async function launchLab(options: LaunchOptions): Promise<LabClient> {
  const name = options.name ?? defaultLabName;
  checkOptions(name, options);
  requireTools();
  if (options.rootfs !== undefined) checkRootfs(options.rootfs.dir);
  const labOptions: LabOptions = {
    paths: options.paths.map((each) => path.resolve(each)),
    nodes: options.nodes ?? defaultNodes,
    podNetwork: options.podNetwork ?? 'routed',
    images: options.images ?? {},
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    foreground: options.foreground ?? false,
    mesh: options.mesh ?? true,
    apiServer: options.apiServer ?? false,
    rootfs: options.rootfs ?? null,
    nodeConfig: options.nodeConfig ?? {},
    controllerConfig: options.controllerConfig ?? {},
    waypointConfig: options.waypointConfig ?? {},
  };
  const started = await startWithSocket(name, labOptions, options);
  if (started.type === 'failed') {
    options.signal?.throwIfAborted();
    if (options.keepOnFailure !== true) await endQuietly(name);
    throw failureOf(started);
  }
  return new LabClient(findRunningLab(name));
}

function checkOptions(name: string, options: LaunchOptions): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new MeshError('USAGE', { reason: `'${name}' is no lab name: small letters, digits and dashes, at most 32` });
  }
  const nodes = options.nodes ?? defaultNodes;
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > nodesMax) {
    throw new MeshError('USAGE', { reason: `a lab has 1 to ${nodesMax} nodes, not ${nodes}` });
  }
  if (listLabs().some((lab) => lab.name === name)) {
    throw new MeshError('USAGE', { reason: `lab '${name}' runs already; end it with: ambientctl lab down ${name}` });
  }
}

type Outcome = Extract<LabProgress, { type: 'ready' | 'failed' }>;

/**
 * A socket stays in the network namespace that it was made in: the one for the API listens on the host's loopback, and
 * the lab, which inherits it, answers there.
 */
async function startWithSocket(name: string, labOptions: LabOptions, options: LaunchOptions): Promise<Outcome> {
  if (!labOptions.apiServer) return await startAndWatch(name, labOptions, options, []);
  const socket = createServer();
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const started = startAndWatch(name, labOptions, options, [fd]);
  socket.close();
  return await started;
}

/** Starts the processes and resolves with the lab's last word about its start. */
function startAndWatch(
  name: string,
  labOptions: LabOptions,
  options: LaunchOptions,
  inherited: readonly number[],
): Promise<Outcome> {
  const root = process.getuid?.() === 0;
  const namespaces = ['--net', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const main = modulePath('src/lab/main.ts');
  const args = [
    ...(root ? [] : ['--user', '--map-root-user']),
    ...namespaces,
    '--',
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    main,
    name,
    JSON.stringify(labOptions),
  ];
  const env = { ...process.env, PATH: systemPath() };
  // The lab reads its standard input until it ends: that is how a foreground lab learns that its starter has gone.
  const stdio = ['pipe', 'pipe', 'pipe', ...inherited] as readonly unknown[] as ['pipe', 'pipe', 'pipe'];
  const child = spawn('unshare', args, {
    detached: true,
    stdio,
    cwd: '/',
    env,
  });
  const errors: string[] = [];
  const linesMax = 40;
  child.stdin.on('error', () => {});
  // Its child, the first process in there, is killed with it, and everything else with that.
  const stop = (): void => void child.kill('SIGKILL');
  const { signal } = options;
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted === true) stop();
  return new Promise<Outcome>((resolve) => {
    const fail = (message: string) => resolve({ type: 'failed', code: 'INTERNAL', message });
    child.on('error', (error) => fail(`cannot start the lab: ${messageOf(error)}`));
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (errors.push(line) > linesMax) errors.shift();
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const progress = progressOf(line);
      if (progress === null) return;
      options.onProgress?.(progress);
      if (progress.type === 'ready' || progress.type === 'failed') resolve(progress);
    });
    child.on('close', () => fail(startFailure(errors, root)));
  }).finally(() => {
    signal?.removeEventListener('abort', stop);
    if (labOptions.foreground) {
      // Goes on telling what happens, without keeping this process alive by itself.
      for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as Socket).unref();
    } else {
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    }
    child.unref();
  });
}

function progressOf(line: string): LabProgress | null {
  try {
    return JSON.parse(line) as LabProgress;
  } catch {
    return null;
  }
}

function startFailure(errors: readonly string[], root: boolean): string {
  const said = errors.join('\n');
  const forbidden = /unshare failed|Operation not permitted|write failed|Permission denied|cannot open/.test(said);
  if (forbidden && /unshare|mount/.test(said)) {
    const hint = root
      ? 'this system does not let root make namespaces; in a container, start it with --privileged'
      : 'this system does not let an ordinary user make namespaces; run it as root, or allow them: ' +
        'sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0';
    return `${said.split('\n')[0] ?? ''}; ${hint}`;
  }
  return said === '' ? 'the lab ended before it was ready' : `the lab ended before it was ready:\n${said}`;
}

function failureOf(outcome: Extract<Outcome, { type: 'failed' }>): MeshError {
  if (outcome.code === 'CONFIG_INVALID') return new LabFailed('CONFIG_INVALID', outcome.message);
  return new LabFailed(outcome.code, outcome.message);
}

/** A start that failed, in the lab's own words. */
class LabFailed extends MeshError {
  constructor(code: 'CONFIG_INVALID' | 'TIMED_OUT' | 'INTERNAL', message: string) {
    super(code, { reason: message });
    this.message = message;
  }
}

async function endQuietly(name: string): Promise<void> {
  try {
    await new LabClient(findRunningLab(name)).down();
  } catch {
    // It has ended by itself.
  }
}
