// A connection to a port of a pod through the API server: the subresource `portforward` over WebSocket, in the protocol
// `v4.channel.k8s.io` of Kubernetes (apimachinery, wsstream; kubelet, portforward), of which only one port is asked
// for.
// It takes `get` and, from Kubernetes 1.35 on, `create` for `pods/portforward`.
import { Duplex } from 'node:stream';
import { Agent, WebSocket } from 'undici';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { KubeAccess } from './access.ts';
import { ApiClient } from './api-client.ts';

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

const protocol = 'v4.channel.k8s.io';
const openTimeoutMs = 15_000;
const dataChannel = 0;
const errorChannel = 1;
/** Each channel begins with the number of its port. */
const portBytes = 2;
/** More waits to be sent than a question ever has. */
const bufferedMax = 4 * 1024 * 1024;
const drainLookMs = 20;

/**
 * A stream to the port, as from within the pod; the caller destroys it. A half-close does not get through. Rejects
 * with KUBE_API when the API server refuses, NOT_REACHABLE when it or the port does not answer.
 */
export async function openPodPort(access: KubeAccess, target: PodPort): Promise<Duplex> {
  const path = `/api/v1/namespaces/${target.namespace}/pods/${target.pod}/portforward`;
  for (const isLast of [false, true]) {
    const authorization = await access.authorization(isLast);
    const dispatcher = new Agent({ connect: { ...access.tls(), timeout: openTimeoutMs }, allowH2: false });
    const socket = new WebSocket(`${access.server.replace(/^http/, 'ws')}${path}?ports=${target.port}`, {
      protocols: [protocol],
      dispatcher,
      headers: authorization === null ? {} : { authorization },
    });
    socket.binaryType = 'arraybuffer';
    const problem = await opened(socket);
    if (problem === null) return new PodPortStream(socket, target, dispatcher);
    await dispatcher.destroy();
    if (isLast) throw await refusal(access, path, problem, target);
  }
  throw new MeshError('INTERNAL', { reason: 'a port was neither opened nor refused' });
}

/** Null when it is open, otherwise why not. */
function opened(socket: WebSocket): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(`no answer in ${openTimeoutMs / 1000} s`);
      socket.close();
    }, openTimeoutMs);
    const settle = (problem: string | null): void => {
      clearTimeout(timer);
      resolve(problem);
    };
    socket.addEventListener('open', () => settle(null), { once: true });
    socket.addEventListener('error', (event) => settle(messageOf(event.error ?? event.message)), { once: true });
  });
}

/** What a WebSocket cannot tell: the API server's own words, which it says to the same request without an upgrade. */
async function refusal(access: KubeAccess, path: string, problem: string, target: PodPort): Promise<unknown> {
  const client = new ApiClient(access);
  try {
    await client.json({ path });
  } catch (error) {
    const { status } = MeshError.from(error).details;
    // 400: "Upgrade request required", so the request itself is allowed.
    if (status !== 400) return error;
  } finally {
    await client.close();
  }
  return unreachable(target, problem);
}

function unreachable({ namespace, pod, port }: PodPort, reason: string): MeshError {
  return new MeshError('NOT_REACHABLE', {
    what: `port ${port} of pod ${namespace}/${pod}`,
    reason,
    hint: 'does it run?',
  });
}

class PodPortStream extends Duplex {
  readonly #socket: WebSocket;
  readonly #target: PodPort;
  /** Bytes of the port's number that are still to come, by channel. */
  readonly #announced = [portBytes, portBytes];

  constructor(socket: WebSocket, target: PodPort, dispatcher: Agent) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#target = target;
    socket.addEventListener('message', ({ data }) => this.#take(Buffer.from(data as ArrayBuffer)));
    socket.addEventListener('error', () => this.destroy(unreachable(target, 'the connection broke off')));
    socket.addEventListener('close', () => {
      this.push(null);
      void dispatcher.destroy();
    });
  }

  override _read(): void {
    // What comes is taken: answers are read to their end by whoever asked.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.send(Buffer.concat([Buffer.from([dataChannel]), chunk]));
    const wait = (): void => {
      if (this.#socket.bufferedAmount <= bufferedMax || this.destroyed) done();
      else setTimeout(wait, drainLookMs);
    };
    wait();
  }

  override _final(done: (error?: Error | null) => void): void {
    // A half-close cannot be said; the answer still comes.
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.close();
    done(error);
  }

  #take(frame: Buffer): void {
    const channel = frame[0] ?? dataChannel;
    const skipped = Math.min(this.#announced[channel] ?? 0, frame.length - 1);
    this.#announced[channel] = (this.#announced[channel] ?? 0) - skipped;
    const data = frame.subarray(1 + skipped);
    if (data.length === 0) return;
    if (channel === dataChannel) this.push(data);
    else if (channel === errorChannel) this.destroy(unreachable(this.#target, data.toString('utf8').trim()));
  }
}
