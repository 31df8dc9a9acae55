// Keeps one container going: starts it, probes it, restarts it with growing pauses, and knows its state in Kubernetes'
// words.
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { NodeAgent } from './agent.ts';
import {
  type ContainerExit,
  type ContainerPlan,
  ContainerProcess,
  containerNamespaces,
  setupFailed,
} from './container.ts';
import type { Container, ContainerStatus, Probe } from './objects.ts';
import { probeAction, probeTiming } from './probe-plan.ts';
import { rfc3339 } from './store.ts';

export interface ContainerRunnerOptions {
  readonly container: Container;
  readonly restartPolicy: string;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  readonly agent: NodeAgent;
  readonly clock: Clock;
  readonly random: () => number;
  /** Names this container among all of the lab. */
  readonly id: string;
  readonly podIp: string;
  /** What to run; a string says why it cannot run, and `retry` whether that may change. */
  readonly plan: () => ContainerPlan | { readonly reason: string; readonly message: string; readonly retry: boolean };
  readonly onChange: () => void;
}

type State = ContainerStatus['state'];
type ProbeKind = 'startup' | 'readiness' | 'liveness';

const restartFirstMs = 300;
const restartCapMs = 30_000;
/** A container that ran for this long starts with the shortest pause again. */
const stableMs = 30_000;
const configRetryMs = 2_000;

/** One container of one pod; every change of its state is told by `onChange`. Never throws. */
export class ContainerRunner {
  readonly #options: ContainerRunnerOptions;
  readonly #backoff: Backoff;
  #process: ContainerProcess | null = null;
  #plan: ContainerPlan | null = null;
  #state: State = { waiting: { reason: 'ContainerCreating' } };
  #restarts = 0;
  #started = false;
  #ready = false;
  #failing = '';
  #startedAtMs = 0;
  #stopping = false;
  #cancel: (() => void) | null = null;
  readonly #waiters = new Set<() => void>();

  constructor(options: ContainerRunnerOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: restartFirstMs, capMs: restartCapMs, jitter: 0, random: options.random });
  }

  get name(): string {
    return this.#options.container.name;
  }

  get image(): string {
    return this.#options.container.image ?? '';
  }

  /** What a person should know while the container is not ready; '' when there is nothing to say. */
  get failing(): string {
    return this.#failing;
  }

  get plan(): ContainerPlan | null {
    return this.#plan;
  }

  /** The container's first process as the lab sees it, null while there is none. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  get finished(): boolean {
    return this.#state.terminated !== undefined;
  }

  status(): ContainerStatus {
    const { container } = this.#options;
    return {
      name: container.name,
      image: container.image ?? '',
      ready: this.#ready,
      started: this.#started,
      restartCount: this.#restarts,
      state: this.#state,
    };
  }

  start(): void {
    if (this.#stopping) return;
    const plan = this.#options.plan();
    if ('reason' in plan) {
      this.#failing = plan.message;
      this.#set({ waiting: { reason: plan.reason, message: plan.message } });
      if (plan.retry) this.#cancel = this.#options.clock.after(configRetryMs, () => this.start());
      return;
    }
    this.#plan = plan;
    this.#startedAtMs = this.#options.clock.now();
    const process = new ContainerProcess(plan, {
      onStart: () => this.#begun(process),
      onExit: (exit) => this.#exited(process, exit),
    });
    this.#process = process;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  /** SIGTERM, SIGKILL after the grace period; resolves when the process has ended. Does not start again after it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancel?.();
    this.#unwatch();
    const process = this.#process;
    if (process === null || process.exited) return;
    await new Promise<void>((resolve) => {
      this.#waiters.add(resolve);
      process.signal('SIGTERM');
      const cancel = this.#options.clock.after(this.#options.graceMs, () => process.signal('SIGKILL'));
      this.#waiters.add(cancel);
    });
  }

  /** From here on: before its command runs, a container has no files of its own that a probe could find. */
  #begun(process: ContainerProcess): void {
    if (this.#stopping || process !== this.#process) return;
    const { startupProbe, readinessProbe } = this.#options.container;
    this.#started = startupProbe === undefined;
    this.#ready = this.#started && readinessProbe === undefined;
    this.#failing = this.#ready ? '' : 'its first probe has not passed yet';
    this.#set({ running: { startedAt: rfc3339(this.#options.clock.now()) } });
    if (startupProbe === undefined) {
      this.#watchRunning();
      return;
    }
    this.#watch('startup', startupProbe, (passed) => {
      if (!passed) {
        this.#restartFor('startup');
        return;
      }
      this.#started = true;
      this.#options.agent.unwatch(this.#probeId('startup'));
      this.#ready = this.#options.container.readinessProbe === undefined;
      this.#options.onChange();
      this.#watchRunning();
    });
  }

  #watchRunning(): void {
    const { readinessProbe, livenessProbe } = this.#options.container;
    if (readinessProbe !== undefined) {
      this.#watch('readiness', readinessProbe, (passed, message) => {
        this.#ready = passed;
        this.#failing = passed ? '' : `readiness: ${message}`;
        this.#options.onChange();
      });
    }
    if (livenessProbe !== undefined) {
      this.#watch('liveness', livenessProbe, (passed, message) => {
        if (passed) return;
        this.#failing = `liveness: ${message}`;
        this.#restartFor('liveness');
      });
    }
  }

  #watch(kind: ProbeKind, probe: Probe, onVerdict: (passed: boolean, message: string) => void): void {
    const { agent, container, podIp } = this.#options;
    const entered = (argv: readonly string[]) => ({
      argv: enteredArgv(this.pid ?? 0, this.#plan?.cwd ?? '/', argv),
      env: this.#plan?.env ?? {},
    });
    const action = probeAction(probe, { container, podIp, entered });
    if (action === null) {
      onVerdict(false, `the ${kind} probe names no port of the container`);
      return;
    }
    agent.watch(this.#probeId(kind), action, probeTiming(probe), ({ passed, message }) => onVerdict(passed, message));
  }

  #restartFor(kind: ProbeKind): void {
    this.#unwatch();
    if (this.#failing === '') this.#failing = `the ${kind} probe failed`;
    const process = this.#process;
    process?.signal('SIGTERM');
    this.#cancel = this.#options.clock.after(this.#options.graceMs, () => process?.signal('SIGKILL'));
  }

  #exited(process: ContainerProcess, exit: ContainerExit): void {
    if (process !== this.#process) return;
    const { clock, restartPolicy } = this.#options;
    this.#unwatch();
    this.#cancel?.();
    this.#ready = false;
    this.#started = false;
    const reason = exit.code === 0 ? 'Completed' : exit.code === setupFailed ? 'ContainerCannotRun' : 'Error';
    const again = !this.#stopping && (restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && exit.code !== 0));
    if (exit.code !== 0 || again) this.#failing = `exit code ${exit.code}`;
    else this.#failing = '';
    for (const resolve of this.#waiters) resolve();
    this.#waiters.clear();
    if (!again) {
      this.#set({ terminated: { exitCode: exit.code, reason, finishedAt: rfc3339(clock.now()) } });
      return;
    }
    if (clock.now() - this.#startedAtMs > stableMs) this.#backoff.reset();
    const delayMs = this.#backoff.next();
    const message = `${reason}, exit code ${exit.code}; next start in ${Math.round(delayMs)} ms`;
    this.#set({ waiting: { reason: 'CrashLoopBackOff', message } });
    this.#cancel = clock.after(delayMs, () => {
      this.#restarts++;
      this.start();
    });
  }

  #unwatch(): void {
    for (const kind of ['startup', 'readiness', 'liveness'] as const) this.#options.agent.unwatch(this.#probeId(kind));
  }

  #probeId(kind: ProbeKind): string {
    return `${this.#options.id}/${kind}`;
  }

  #set(state: State): void {
    this.#state = state;
    this.#options.onChange();
  }
}

/** Runs `argv` inside the container whose first process is `pid`, in its working directory. */
export function enteredArgv(pid: number, cwd: string, argv: readonly string[]): readonly string[] {
  return [
    'nsenter',
    '-t',
    String(pid),
    ...containerNamespaces,
    '--',
    'sh',
    '-c',
    'cd -- "$0" && exec "$@"',
    cwd,
    ...argv,
  ];
}
