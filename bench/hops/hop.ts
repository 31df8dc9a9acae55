// What one measured hop of `l7` is: a proxy on loopback between the load tool and nginx, or a whole way of several,
// with the same ten rules, time-out and retries whoever it is.
import type { CertificateFiles } from '../certificates.ts';
import type { Service } from '../processes.ts';

export interface HopContext {
  /** Of this hop alone. */
  readonly dir: string;
  /** Where it listens for HTTP/1.1, and for HTTP/2 with prior knowledge; 127.0.0.1. */
  readonly http1Port: number;
  readonly http2Port: number;
  /** For hops that speak mutual TLS. The hop itself is `server` to its client and to its server. */
  readonly certificates: { readonly client: CertificateFiles; readonly server: CertificateFiles };
}

export interface RunningHop {
  readonly name: string;
  readonly http1: string;
  /** Null where it does not speak HTTP/2 to its servers. */
  readonly http2: string | null;
  /** Where the load tool runs; null for the run's own network namespace. */
  readonly netns: string | null;
  /** Their CPU time and memory count. Empty for none. */
  readonly proxies: readonly Service[];
  /** The one of them that is a waypoint, with all that a waypoint is. */
  readonly waypoint: Service | null;
  /** The proxies, and whatever stands beside them. */
  readonly services: readonly Service[];
}

export type StartHop = (context: HopContext) => Promise<RunningHop>;

/** Where nginx, the server behind every hop, listens. */
export const serverPorts = { http1: 18500, http2: 18501 } as const;
export const host = '127.0.0.1';

export const requestTimeoutMs = 15_000;
export const retryAttempts = 2;

/** A rule of the table, most particular first; requests of the load match the last. */
export interface HopRule {
  readonly path?: { readonly kind: 'exact' | 'prefix'; readonly value: string };
  readonly header?: { readonly name: string; readonly kind: 'exact' | 'prefix'; readonly value: string };
  readonly method?: string;
}

/** Nine rules that must be passed over, and one for everything: 90 % to one cluster, 10 % to another. */
export const hopRules: readonly HopRule[] = [
  { path: { kind: 'exact', value: '/admin' } },
  { path: { kind: 'exact', value: '/healthz' } },
  { path: { kind: 'prefix', value: '/api/v1' } },
  { path: { kind: 'prefix', value: '/api/v2' } },
  { header: { name: 'x-canary', kind: 'exact', value: 'yes' } },
  { method: 'DELETE' },
  { path: { kind: 'prefix', value: '/static' } },
  { header: { name: 'x-user', kind: 'prefix', value: 'beta-' } },
  { path: { kind: 'prefix', value: '/cart' } },
  {},
];
export const weights = { stable: 90, canary: 10 } as const;
