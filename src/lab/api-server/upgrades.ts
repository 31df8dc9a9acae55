// Requests that turn into something else: `pods/exec`, by WebSocket or SPDY, and `pods/portforward`, by WebSocket.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { KubeObject } from '../objects.ts';
import type { ContainerAccess } from './containers.ts';
import { execRequest } from './containers.ts';
import { type ExecChannels, joinExec } from './exec.ts';
import { isSpdy, serveExecSpdy } from './exec-spdy.ts';
import { isWebSocket, serveExecWebSocket } from './exec-websocket.ts';
import { ApiFailure, badRequest, noSuchResource } from './failure.ts';
import { isPortForward, servePortForward } from './port-forward.ts';
import type { Rbac } from './rbac.ts';
import { resourcePath } from './request.ts';
import type { UserInfo } from './users.ts';

export interface UpgradeParts {
  readonly userOf: (incoming: IncomingMessage) => UserInfo;
  readonly rbac: Rbac;
  /** Null where nothing runs pods. */
  readonly containers: ContainerAccess | null;
  /** Null where pods are not reached. */
  readonly portForward: PodDialer | null;
  /** Throws 404. */
  readonly pod: (namespace: string, name: string) => KubeObject;
}

/** Connects to a port of a pod, as from within it. */
export type PodDialer = (pod: KubeObject, port: number) => Promise<Duplex>;

/** Answers one such request; a refusal becomes an ordinary answer with a Status. Never throws. */
export function answerUpgrade(parts: UpgradeParts, incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  try {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'https://api');
    const resource = resourcePath(pathname);
    const user = parts.userOf(incoming);
    if (resource === null) throw noSuchResource();
    const { group, plural, subresource, namespace, name } = resource;
    // Whoever may run programs may create `pods/exec`, by whichever method the client asks.
    parts.rbac.check(user, { verb: 'create', group, resource: plural, subresource, namespace, name });
    if (isPortForward(resource) && namespace !== null && name !== null) {
      // A WebSocket begins with GET, which has to be allowed too, as it had to be alone before Kubernetes 1.35.
      parts.rbac.check(user, { verb: 'get', group, resource: plural, subresource, namespace, name });
      const pod = parts.pod(namespace, name);
      const dial = parts.portForward ?? (() => Promise.reject(badRequest('pods are not reached through this server')));
      servePortForward(incoming, socket, head, (port) => dial(pod, port));
      return;
    }
    const isExec = group === '' && plural === 'pods' && subresource === 'exec';
    if (!isExec || namespace === null || name === null || parts.containers === null) throw noSuchResource();
    const { containers } = parts;
    const request = execRequest(namespace, name, searchParams);
    const join = (channels: ExecChannels) => joinExec(containers.exec(request), request, channels);
    containers.check(request);
    if (isWebSocket(incoming)) serveExecWebSocket(incoming, socket, head, join);
    else if (isSpdy(incoming)) serveExecSpdy(incoming, socket, head, request, join);
    else throw badRequest('you must use WebSocket or SPDY/3.1');
  } catch (error) {
    refuse(socket, error);
  }
}

function refuse(socket: Duplex, error: unknown): void {
  const failure = error instanceof ApiFailure ? error : new ApiFailure(500, 'InternalError', String(error));
  const body = `${JSON.stringify(failure.status)}\n`;
  const lines = [
    `HTTP/1.1 ${failure.httpStatus} ${failure.status.reason ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
