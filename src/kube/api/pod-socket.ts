// A WebSocket to a subresource of a pod: how ports are forwarded and programs run through an API server.
import { Agent, WebSocket } from 'undici';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { KubeAccess } from './access.ts';
import { ApiClient } from './api-client.ts';

export interface PodSocket {
  /** Open; its frames are array buffers. */
  readonly socket: WebSocket;
  /** To be destroyed when the socket has closed. */
  readonly dispatcher: Agent;
}

const openTimeoutMs = 15_000;

/**
 * Opens `path`, with its query, for one of the `protocols`. Rejects with KUBE_API when the API server refuses, and with
 * what `unreachable` makes of the reason when it does not answer.
 */
export async function openPodSocket(
  access: KubeAccess,
  path: string,
  protocols: readonly string[],
  unreachable: (reason: string) => MeshError,
): Promise<PodSocket> {
  for (const isLast of [false, true]) {
    const authorization = await access.authorization(isLast);
    const dispatcher = new Agent({ connect: { ...access.tls(), timeout: openTimeoutMs }, allowH2: false });
    const socket = new WebSocket(`${access.server.replace(/^http/, 'ws')}${path}`, {
      protocols: [...protocols],
      dispatcher,
      headers: authorization === null ? {} : { authorization },
    });
    socket.binaryType = 'arraybuffer';
    const problem = await opened(socket);
    if (problem === null) return { socket, dispatcher };
    await dispatcher.destroy();
    if (isLast) throw await refusal(access, path, unreachable(problem));
  }
  throw new MeshError('INTERNAL', { reason: 'a WebSocket was neither opened nor refused' });
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
async function refusal(access: KubeAccess, path: string, otherwise: MeshError): Promise<unknown> {
  const client = new ApiClient(access);
  try {
    await client.json({ path: path.replace(/\?.*/, '') });
  } catch (error) {
    const { status } = MeshError.from(error).details;
    // 400: "Upgrade request required", so the request itself is allowed.
    if (status !== 400) return error;
  } finally {
    await client.close();
  }
  return otherwise;
}
