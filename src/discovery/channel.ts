// One HTTP/2 connection over TLS from a proxy to its controller, and what is read from disk for it: roots, token.
import { readFile } from 'node:fs/promises';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { MeshError, messageOf } from '../base/errors.ts';
import { Http2Connection } from './http2-connection.ts';

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
  /** False when no further call can be made on it. */
  isOpen(): boolean;
  /** Closes the connection and every call on it. Idempotent. */
  close(): void;
}

const usualPings = { pingIntervalMs: 10_000, pingTimeoutMs: 10_000 };
const connectTimeoutMs = 5_000;
/** Largest message that a proxy takes from its controller: about 100,000 workloads in one response. */
const messageBytesMax = 64 * 1024 * 1024;
const fileBytesMax = 1024 * 1024;

/**
 * Connects to the controller: TLS verified with `rootsPem`, HTTP/2 with PINGs every `pingIntervalMs` that must be
 * answered in `pingTimeoutMs`. The certificate has to have `serverName`, where one is given, instead of the URL's host.
 * Throws NOT_REACHABLE after 5 s or with the reason of the failure.
 */
export async function openChannel(
  url: string,
  rootsPem: string,
  options: { readonly pings?: typeof usualPings; readonly serverName?: string } = {},
): Promise<Channel> {
  const { pings = usualPings, serverName = '' } = options;
  const connection = await Http2Connection.open({ url, rootsPem, serverName, connectTimeoutMs, ...pings });
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager: connection,
    readMaxBytes: messageBytesMax,
    acceptCompression: [],
  });
  return { transport, isOpen: () => connection.isOpen, close: () => connection.close() };
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
