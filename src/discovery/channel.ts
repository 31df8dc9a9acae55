// One HTTP/2 connection over TLS from a proxy to its controller, and what is read from disk for it: roots, token.
import { readFile } from 'node:fs/promises';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { MeshError, messageOf } from '../base/errors.ts';

export interface ControllerAccess {
  /** `https://HOST:15012`. */
  readonly url: string;
  /** PEM file with the roots that verify the controller. */
  readonly rootsFile: string;
  /** Bearer token file; '' sends none. */
  readonly tokenFile: string;
}

export interface Channel {
  readonly transport: Transport;
  /** Closes the connection and every call on it. Idempotent. */
  close(): void;
}

const connectTimeoutMs = 5_000;
/** Largest message that a proxy takes from its controller: about 100,000 workloads in one response. */
const messageBytesMax = 64 * 1024 * 1024;
const fileBytesMax = 1024 * 1024;

/**
 * Connects to the controller: TLS verified with `rootsPem`, HTTP/2 with PINGs every `pingIntervalMs` that must be
 * answered in `pingTimeoutMs`. Throws NOT_REACHABLE after 5 s or with the reason of the failure.
 */
export async function openChannel(
  url: string,
  rootsPem: string,
  pings = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 },
): Promise<Channel> {
  const manager = new Http2SessionManager(url, { ...pings, idleConnectionTimeoutMs: 60_000 }, { ca: rootsPem });
  const close = (): void =>
    manager.abort(new MeshError('NOT_REACHABLE', { what: url, reason: 'closed', hint: 'it was closed here' }));
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), connectTimeoutMs);
  });
  const outcome = await Promise.race([manager.connect(), timeout]);
  clearTimeout(timer);
  if (outcome === 'timeout' || outcome === 'error') {
    const reason = outcome === 'timeout' ? `no answer in ${connectTimeoutMs} ms` : rootCauseOf(manager.error());
    close();
    throw new MeshError('NOT_REACHABLE', {
      what: url,
      reason,
      hint: 'is the controller running and the address right?',
    });
  }
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager: manager,
    readMaxBytes: messageBytesMax,
    acceptCompression: [],
  });
  return { transport, close };
}

/** The text of a small file. Throws INPUT_UNREADABLE with its name. */
export async function readSmallFile(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length <= fileBytesMax) return text;
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
  throw new MeshError('INPUT_UNREADABLE', { place: file, reason: `it is larger than ${fileBytesMax} bytes` });
}

/** The headers of a call: the token is read anew each time, because the kubelet replaces it while we run. */
export async function callHeaders(access: ControllerAccess, clusterId: string): Promise<Record<string, string>> {
  const headers: Record<string, string> = { clusterid: clusterId };
  if (access.tokenFile !== '') headers.authorization = `Bearer ${(await readSmallFile(access.tokenFile)).trim()}`;
  return headers;
}

/** The innermost message of a chain of causes: `connect ECONNREFUSED …` rather than `http/2 session failed`. */
export function rootCauseOf(error: unknown): string {
  let at = error;
  for (let depth = 0; depth < 8 && at instanceof Error && at.cause instanceof Error; depth++) at = at.cause;
  return messageOf(at);
}
