// A mesh in one process: data threads as they are (messages, TLS, tunnels, policy), on loopback addresses that stand
// for pods, services and nodes. Capture is played: the outbound listener listens on the addresses that a pod would
// dial. A pod's application really listens `appPortShift` above its port, as its own network namespace would keep it
// apart.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ConnectTcp, ForwardConfig } from '../../../src/forward/context.ts';
import { connectTcp } from '../../../src/io/connect-tcp.ts';
import type { MeshUpdate } from '../../../src/model/types.ts';
import { nodeThread } from '../../../src/node/data-thread.ts';
import { type AssembleThread, DataThread } from '../../../src/proxy/data-thread.ts';
import type { FromDataThread, ListenAddress, ToDataThread } from '../../../src/proxy/messages.ts';
import type { AccessRecord } from '../../../src/telemetry/access-record.ts';
import { TestAuthority } from './authority.ts';

type Snapshot = Extract<FromDataThread, { type: 'snapshot' }>;
type Changes = { -readonly [Key in keyof ForwardConfig]?: Partial<ForwardConfig[Key]> };

/**
 * What took longer waited for something: half of the shortest time-out there is by default, and far more than a busy
 * machine takes.
 */
export const atOnceMaxMs = 5_000;
export const appPortShift = 20_000;
export const hbonePort = 15008;
const waitMs = 30_000;

export interface NodeOptions {
  readonly podCidrs: readonly string[];
  readonly outbound?: readonly ListenAddress[];
  readonly inbound?: readonly ListenAddress[];
  readonly hbone?: readonly ListenAddress[];
  readonly config?: Changes;
  readonly authority?: TestAuthority;
  /** Default: that of a node proxy. */
  readonly assemble?: (connect: ConnectTcp) => AssembleThread;
  /** Fields of the configuration that only this kind of thread has. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Answers to `certificateWanted`; the default issues at once. */
  readonly onCertificateWanted?: (identity: string, node: TestNode) => void;
}

/** Configuration of a data thread for tests: the defaults with short times, and `changes` on top. */
export function testConfig(
  nodeName: string,
  accessFile: string,
  changes: Changes & { podCidrs: readonly string[] },
): ForwardConfig {
  return {
    nodeName,
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    sameNode: changes.sameNode ?? 'direct',
    podCidrs: changes.podCidrs,
    ...(changes.meshCidrs === undefined ? {} : { meshCidrs: changes.meshCidrs as readonly string[] }),
    ports: {
      outbound: 15001,
      inbound: 15006,
      hbone: hbonePort,
      admin: 15000,
      metrics: 15020,
      readiness: 15021,
      ...changes.ports,
    },
    log: { level: 'info', format: 'json', access: 'on', accessFile, ...changes.log },
    timeouts: {
      connectMs: 2000,
      holdUnknownPodMs: 2000,
      halfCloseMs: 60_000,
      idleMs: 60_000,
      drainMs: 1000,
      handshakeMs: 5000,
      ...changes.timeouts,
    },
    limits: {
      connectionsMax: 10_000,
      connectionsPerPodMax: 1_000,
      descriptorsMax: 1_000_000,
      heldConnectionsMax: 100,
      handshakesMax: 100,
      handshakesPerSourceMax: 50,
      acceptedSessionsMax: 1_000,
      openedSessionsMax: 1_000,
      streamsPerSession: 100,
      acceptedStreamsPerSession: 256,
      streamBufferBytes: 4 * 1024 * 1024,
      bufferedBytesMax: 64 * 1024 * 1024,
      endpointAttempts: 3,
      flowsMax: 100,
      flowsPerSecond: 100,
      ...changes.limits,
    },
  };
}

/** One node: a data thread in this process, its main thread played by the test. */
export class TestNode {
  readonly thread: DataThread;
  readonly port: MessagePort;
  readonly wanted: string[] = [];
  readonly drained: Promise<number>;
  readonly serving: Promise<void>;
  readonly #logFile: string;
  readonly #snapshots = new Map<number, (snapshot: Snapshot) => void>();
  #ids = 0;

  constructor(context: TestContext, name: string, options: NodeOptions) {
    const folder = mkdtempSync(join(tmpdir(), `direct-${name}-`));
    this.#logFile = join(folder, 'access.log');
    const config = testConfig(name, this.#logFile, { ...options.config, podCidrs: options.podCidrs });
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    context.after(() => {
      port1.close();
      rmSync(folder, { recursive: true });
    });
    const serving = Promise.withResolvers<void>();
    const drained = Promise.withResolvers<number>();
    this.serving = serving.promise;
    this.drained = drained.promise;
    const authority = options.authority ?? defaultAuthority;
    port1.on('message', (message: FromDataThread) => {
      if (message.type === 'serving') serving.resolve();
      else if (message.type === 'drained') drained.resolve(message.closedByDeadline);
      else if (message.type === 'snapshot') this.#snapshots.get(message.id)?.(message);
      else if (message.type === 'certificateWanted') {
        this.wanted.push(message.identity);
        if (options.onCertificateWanted) options.onCertificateWanted(message.identity, this);
        else this.send(authority.issue(message.identity));
      }
    });
    this.thread = new DataThread(
      {
        threadId: 0,
        nodeName: name,
        trustDomain: config.trustDomain,
        clusterId: config.clusterId,
        listeners: { outbound: [], inbound: [], hbone: [] },
        addresses: { outbound: options.outbound ?? [], inbound: options.inbound ?? [], hbone: options.hbone ?? [] },
        config: { ...config, ...options.more },
      },
      port2,
      (options.assemble ?? nodeThread)((target, callback) =>
        connectTcp({ ...target, port: target.port + appPortShift }, callback),
      ),
    );
    this.thread.done.catch(serving.reject);
    context.after(() => this.thread.close());
  }

  send(message: ToDataThread): void {
    this.port.postMessage(message);
  }

  /** Hands a change of the mesh over and waits until it has been applied. */
  async apply(update: MeshUpdate): Promise<void> {
    this.send({ type: 'mesh', update });
    await this.snapshot();
  }

  async snapshot(): Promise<Snapshot> {
    const id = ++this.#ids;
    const answer = new Promise<Snapshot>((resolve) => this.#snapshots.set(id, resolve));
    this.send({ type: 'snapshot', id, connections: true });
    return within(answer, 'a snapshot');
  }

  /** The access log so far. */
  records(): AccessRecord[] {
    this.thread.flushLogs();
    return readFileSync(this.#logFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AccessRecord);
  }

  /** Waits until the log has `count` lines. */
  async recorded(count: number): Promise<AccessRecord[]> {
    await until(() => this.records().length >= count, `${count} access-log lines`);
    return this.records();
  }
}

/** Signs for every node that a test brings no other authority for. */
export const defaultAuthority = new TestAuthority();

/** A pod's application: listens where the proxy connects to. `onSocket` plays it. */
export async function app(
  context: TestContext,
  address: string,
  port: number,
  onSocket: (socket: Socket) => void,
): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port + appPortShift, address, () => resolve());
  });
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server;
}

/** Answers every byte, and ends when the client does. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** A pod's client: dials `host:port` from the pod's address, as capture would deliver it. Resolves when accepted. */
export function client(context: TestContext, from: string, host: string, port: number): Promise<Socket> {
  const socket = dial({ host, port, localAddress: from, allowHalfOpen: true });
  context.after(() => socket.destroy());
  const connected = new Promise<Socket>((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return within(connected, `a connection to ${host}:${port}`);
}

/** Everything that arrives until FIN. Rejects with the socket's error, as after a reset. */
export function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const all = new Promise<Buffer>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => resolve(Buffer.concat(chunks)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an end')));
  });
  return within(all, 'the end of a stream');
}

/** The next `bytes` bytes. */
export function read(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const some = new Promise<Buffer>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length < bytes) return;
      socket.off('data', onData);
      resolve(Buffer.concat(chunks));
    };
    socket.on('data', onData);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
  return within(some, `${bytes} bytes`);
}

/** Resolves with the code of the error that ends the socket; rejects when it ends without one. */
export function resetOf(socket: Socket): Promise<string> {
  socket.resume();
  const reset = new Promise<string>((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.once('close', () => reject(new Error('closed without an error')));
  });
  return within(reset, 'a reset');
}

/**
 * Dials like `client`, for a connection that the proxy resets at once. In one process the reset may come before the
 * client has seen its connect succeed.
 */
export function refused(context: TestContext, from: string, host: string, port: number): Promise<string> {
  const socket = dial({ host, port, localAddress: from });
  context.after(() => socket.destroy());
  return resetOf(socket);
}

/** `promise`, or a failure that names `what` after a few seconds. */
export async function within<T>(promise: Promise<T>, what: string, ms = waitMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks at `condition` until it holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${waitMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
