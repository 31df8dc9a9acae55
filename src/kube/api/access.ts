// How to reach an API server and as whom: from inside a pod, or by a kubeconfig file. What may change while we run (the
// token that the kubelet replaces, the authority's file) is read when it is used.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../../base/errors.ts';

export interface TlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface KubeAccess {
  /** `https://HOST:PORT`, perhaps with a path, without a slash at the end. */
  readonly server: string;
  /** Where the caller is at home; 'default' when nothing says so. */
  readonly namespace: string;
  /** As it is now. Throws INPUT_UNREADABLE with the file. */
  readonly tls: () => TlsSettings;
  /**
   * The header `authorization`, or null without one; `isRefused` says that the last one was answered with 401. Throws
   * INPUT_UNREADABLE with the file.
   */
  readonly authorization: (isRefused: boolean) => Promise<string | null> | string | null;
}

export const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The API server as a pod sees it, by the variables and files that the kubelet gives it. Throws CONFIG_INVALID when
 * this is no pod.
 */
export function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  dir: string = serviceAccountDir,
): KubeAccess {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (host === '') {
    const reason = 'KUBERNETES_SERVICE_HOST is not set, so this is no pod; name a kubeconfig file';
    throw new MeshError('CONFIG_INVALID', { place: 'kubernetes', reason });
  }
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: namespaceIn(`${dir}/namespace`),
    tls: () => ({ ca: readText(`${dir}/ca.crt`) }),
    authorization: () => `Bearer ${readText(`${dir}/token`).trim()}`,
  };
}

/** The text of a file. Throws INPUT_UNREADABLE, which names it. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
}

function namespaceIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim() || 'default';
  } catch {
    return 'default';
  }
}
