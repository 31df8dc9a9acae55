// A connection to a port of a pod through the API server: the subresource `portforward` over WebSocket, in the protocol
// `v4.channel.k8s.io` of Kubernetes (apimachinery, wsstream; kubelet, portforward), of which only one port is asked
// for.
// It takes `get` and, from Kubernetes 1.35 on, `create` for `pods/portforward`.
import { Duplex } from 'node:stream';
import type { Agent, WebSocket } from 'undici';
import { MeshError } from '../../base/errors.ts';
import type { KubeAccess } from './access.ts';
import { openPodSocket } from './pod-socket.ts';

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

const protocol = 'v4.channel.k8s.io';
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
  const path = `/api/v1/namespaces/${target.namespace}/pods/${target.pod}/portforward?ports=${target.port}`;
  const { socket, dispatcher } = await openPodSocket(access, path, [protocol], (reason) => unreachable(target, reason));
  return new PodPortStream(socket, target, dispatcher);
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
