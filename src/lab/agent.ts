// The lab's side of a node's agent: starts it in the node's namespace, asks it, hears its verdicts, and starts it again
// when it dies.
import { type ChildProcess, spawn } from 'node:child_process';
import { MeshError } from '../base/errors.ts';
import { modulePath } from '../base/project-files.ts';
import type { FromAgent, ToAgent } from './agent-messages.ts';
import type { HttpAnswer } from './ask-http.ts';
import { nodeNetns } from './network.ts';
import type { ProbeAction } from './probe.ts';
import type { ProbeTiming, Verdict } from './prober.ts';
import { inNetns } from './run.ts';

type Waiting = { resolve: (answer: HttpAnswer) => void; reject: (error: MeshError) => void };
type Watch = { message: Extract<ToAgent, { type: 'watch' }>; onVerdict: (verdict: Verdict) => void };

const restartDelayMs = 200;
const graceMs = 2_000;

/** One agent per node; probes and requests outlive a restart of its process. */
export class NodeAgent {
  readonly nodeName: string;
  #child: ChildProcess | null = null;
  #closed = false;
  #nextId = 1;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watches = new Map<string, Watch>();

  constructor(nodeName: string) {
    this.nodeName = nodeName;
  }

  start(): void {
    if (this.#closed) return;
    const main = modulePath('src/lab/agent-main.ts');
    const [command = '', ...args] = [
      ...inNetns(nodeNetns(this.nodeName)),
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      main,
    ];
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'json' });
    this.#child = child;
    child.on('error', () => {}); // 'exit' or 'close' follows, or a new start below.
    child.on('message', (message) => this.#hear(message as FromAgent));
    child.on('close', () => this.#ended());
    for (const { message } of this.#watches.values()) this.#send(message);
  }

  /** Repeats a probe until `unwatch`. One probe per id: a new one takes the place of the old. */
  watch(id: string, action: ProbeAction, timing: ProbeTiming, onVerdict: (verdict: Verdict) => void): void {
    const message = { type: 'watch', id, action, timing } as const;
    this.#watches.set(id, { message, onVerdict });
    this.#send(message);
  }

  unwatch(id: string): void {
    if (this.#watches.delete(id)) this.#send({ type: 'unwatch', id });
  }

  /** Asks a loopback port of the node. Rejects with `NOT_REACHABLE` or `TIMED_OUT`. */
  request(method: string, port: number, requestPath: string, body: string, timeoutMs: number): Promise<HttpAnswer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(
          new MeshError('TIMED_OUT', {
            what: `${requestPath} on node ${this.nodeName}`,
            timeoutMs,
            hint: 'is it stopped?',
          }),
        );
      }, timeoutMs + graceMs);
      const settle =
        <T>(with_: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          this.#waiting.delete(id);
          with_(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#send({ type: 'request', id, method, port, path: requestPath, body, timeoutMs });
    });
  }

  close(): void {
    this.#closed = true;
    this.#child?.kill('SIGKILL');
  }

  #send(message: ToAgent): void {
    if (this.#child?.connected === true) this.#child.send(message, () => {}); // A failure shows as its end.
  }

  #hear(message: FromAgent): void {
    if (message.type === 'verdict')
      this.#watches.get(message.id)?.onVerdict({ passed: message.passed, message: message.message });
    if (message.type === 'answer') {
      const { status, body, pid } = message;
      this.#waiting.get(message.id)?.resolve({ status, body, pid });
    }
    if (message.type === 'noAnswer') {
      this.#waiting.get(message.id)?.reject(this.#notReachable(message.reason));
    }
  }

  #ended(): void {
    for (const waiting of this.#waiting.values()) waiting.reject(this.#notReachable('the agent of the node ended'));
    if (!this.#closed) setTimeout(() => this.start(), restartDelayMs);
  }

  #notReachable(reason: string): MeshError {
    return new MeshError('NOT_REACHABLE', {
      what: `node ${this.nodeName}`,
      reason,
      hint: `see: ambientctl lab logs node/${this.nodeName}`,
    });
  }
}
