// The test's end of `pod-agent.ts`: a program inside a pod whose TCP connections a test opens, accepts, feeds and
// watches.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { LabTarget } from '../../src/lab/control-types.ts';
import { enterCommand } from '../../src/lab/enter.ts';

const agentFile = path.join(import.meta.dirname, 'pod-agent.ts');
const ordinaryTimeoutMs = 10_000;

export interface ConnectionState {
  readonly bytesRead: number;
  /** The first 4 KiB, latin1. */
  readonly text: string;
  readonly ended: boolean;
  readonly closed: boolean;
  /** `ECONNRESET` when the peer aborted. */
  readonly error: string | null;
  /** SHA-256 of all bytes read so far, hex. */
  readonly digest: string;
}

type Message = Record<string, unknown>;

/** One program inside one pod. `close()` ends it. */
export class PodAgent {
  readonly #child: ChildProcess;
  readonly #events = new EventEmitter();
  readonly #accepted = new Map<number, PodConnection[]>();
  readonly #pending = new Map<number, { resolve: (result: Message) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#events.setMaxListeners(0);
    createInterface({ input: child.stdout! }).on('line', (line) => this.#onMessage(JSON.parse(line) as Message));
    child.on('exit', () => {
      for (const waiting of this.#pending.values()) waiting.reject(new Error('the agent in the pod has ended'));
      this.#pending.clear();
    });
  }

  /**
   * Starts an agent in `target` and resolves when it takes commands; `file` is another program that speaks as it does.
   */
  static async start(target: LabTarget, file = agentFile): Promise<PodAgent> {
    const { command, args } = enterCommand(target, [process.execPath, file]);
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...target.env } });
    const agent = new PodAgent(child);
    await once(agent.#events, 'ready', { signal: AbortSignal.timeout(ordinaryTimeoutMs) });
    return agent;
  }

  /** Opens a connection; rejects with the error's code when it is refused. `paused`: reads nothing until `resume`. */
  async connect(
    host: string,
    port: number,
    options: { paused?: boolean; localPort?: number } = {},
  ): Promise<PodConnection> {
    const result = await this.call({ op: 'connect', host, port, ...options });
    if (typeof result.failed === 'string') throw new Error(result.failed);
    return new PodConnection(this, Number(result.conn), String(result.local));
  }

  /** Opens a connection that is expected to fail at once; resolves with the error's code, or null if it did connect. */
  async connectError(host: string, port: number): Promise<string | null> {
    const result = await this.call({ op: 'connect', host, port });
    return typeof result.failed === 'string' ? result.failed : null;
  }

  /** Listens on `port`, both families; `greeting` is sent as soon as a connection is accepted. */
  async listen(port: number, options: { paused?: boolean; greeting?: string } = {}): Promise<void> {
    await this.call({ op: 'listen', port, ...options });
    this.#accepted.set(port, []);
  }

  /**
   * The next connection accepted on `port`; each is handed out once. Rejects after `timeoutMs` or when `signal` aborts.
   */
  async accepted(port: number, timeoutMs = ordinaryTimeoutMs, signal?: AbortSignal): Promise<PodConnection> {
    const queue = this.#accepted.get(port);
    assert(queue !== undefined, `listen on ${port} first`);
    const timeout = AbortSignal.timeout(timeoutMs);
    const ends = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    while (queue.length === 0) await once(this.#events, 'accepted', { signal: ends });
    return queue.shift()!;
  }

  /** How many connections wait to be handed out by `accepted`. */
  acceptedCount(port: number): number {
    return this.#accepted.get(port)?.length ?? 0;
  }

  async states(): Promise<ConnectionState[]> {
    const result = await this.call({ op: 'states' });
    return result.states as ConnectionState[];
  }

  call(request: Message, timeoutMs = 60_000): Promise<Message> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer = setTimeout(
      () => reject(new Error(`no answer to ${String(request.op)} in ${timeoutMs} ms`)),
      timeoutMs,
    );
    this.#pending.set(id, { resolve, reject });
    this.#child.stdin!.write(`${JSON.stringify({ id, ...request })}\n`);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(id);
    });
  }

  /** Resolves when something happened on connection `conn`. */
  changed(conn: number, signal: AbortSignal): Promise<unknown> {
    return once(this.#events, `connection ${conn}`, { signal });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await gone;
  }

  #onMessage(message: Message): void {
    if (typeof message.id === 'number') {
      const waiting = this.#pending.get(message.id);
      if (typeof message.error === 'string') waiting?.reject(new Error(message.error));
      else waiting?.resolve(message.result as Message);
    } else if (message.event === 'accepted') {
      const connection = new PodConnection(this, Number(message.conn), String(message.remote));
      this.#accepted.get(Number(message.port))?.push(connection);
      this.#events.emit('accepted');
    } else if (message.event === 'ready') {
      this.#events.emit('ready');
    } else {
      this.#events.emit(`connection ${Number(message.conn)}`);
    }
  }
}

/**
 * One connection that the agent holds. `peer` is its own address when it was opened, the peer's when it was accepted.
 */
export class PodConnection {
  readonly #agent: PodAgent;
  readonly id: number;
  readonly peer: string;

  constructor(agent: PodAgent, id: number, peer: string) {
    this.#agent = agent;
    this.id = id;
    this.peer = peer;
  }

  async write(text: string): Promise<void> {
    await this.#agent.call({ op: 'write', conn: this.id, text });
  }

  /** Writes `bytes` deterministic bytes; resolves with their SHA-256 when the last was handed to the kernel. */
  async writePattern(bytes: number, seed: number, timeoutMs = 120_000): Promise<string> {
    const result = await this.#agent.call({ op: 'writePattern', conn: this.id, bytes, seed }, timeoutMs);
    return String(result.digest);
  }

  async end(): Promise<void> {
    await this.#agent.call({ op: 'end', conn: this.id });
  }

  async reset(): Promise<void> {
    await this.#agent.call({ op: 'reset', conn: this.id });
  }

  async pause(): Promise<void> {
    await this.#agent.call({ op: 'pause', conn: this.id });
  }

  async resume(): Promise<void> {
    await this.#agent.call({ op: 'resume', conn: this.id });
  }

  async state(): Promise<ConnectionState> {
    return (await this.#agent.call({ op: 'state', conn: this.id })) as unknown as ConnectionState;
  }

  /** Resolves with the state as soon as `condition` holds; rejects with the last state after `timeoutMs`. */
  async until(
    what: string,
    condition: (state: ConnectionState) => boolean,
    timeoutMs = ordinaryTimeoutMs,
  ): Promise<ConnectionState> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const changed = this.#agent.changed(this.id, signal).catch(() => null);
      const state = await this.state();
      if (condition(state)) return state;
      if ((await changed) === null) {
        const last = await this.state();
        if (condition(last)) return last;
        throw new Error(`not ${what} in ${timeoutMs} ms; the connection is ${JSON.stringify(last)}`);
      }
    }
  }

  untilRead(text: string, timeoutMs?: number): Promise<ConnectionState> {
    return this.until(`read '${text}'`, (state) => state.text.includes(text), timeoutMs);
  }

  untilEnded(timeoutMs?: number): Promise<ConnectionState> {
    return this.until('ended', (state) => state.ended || state.closed, timeoutMs);
  }

  untilClosed(timeoutMs?: number): Promise<ConnectionState> {
    return this.until('closed', (state) => state.closed, timeoutMs);
  }
}
