// The three headers that go with a CONNECT: `baggage` (who the source is, for telemetry), `forwarded` (the client's
// address and the service it called) and `traceparent`. Formats as Istio ambient has them; see docs/architecture.md.
import { randomFillSync } from 'node:crypto';
import { canonicalIp, formatHostPort, splitHostPort } from '../base/ip.ts';
import type { Workload } from '../model/types.ts';

const baggageOfWorkload = new WeakMap<Workload, string>();
const baggageUnsafe = /[^\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]/g;

/** `k8s.cluster.name=…,k8s.namespace.name=…,k8s.deployment.name=…,…`; keys without a value are left out. */
export function baggageOf(workload: Workload): string {
  const known = baggageOfWorkload.get(workload);
  if (known !== undefined) return known;
  const entries: readonly (readonly [string, string])[] = [
    ['k8s.cluster.name', workload.clusterId],
    ['k8s.namespace.name', workload.namespace],
    [`k8s.${workload.workloadType}.name`, workload.workloadName],
    ['service.name', workload.canonicalName],
    ['service.version', workload.canonicalRevision],
    ['cloud.region', workload.locality?.region ?? ''],
    ['cloud.availability_zone', workload.locality?.zone ?? ''],
  ];
  const text = entries
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value.replaceAll(baggageUnsafe, encodeURIComponent)}`)
    .join(',');
  baggageOfWorkload.set(workload, text);
  return text;
}

/** RFC 7239: `for="IP:port"`, and `;host=HOSTNAME` where a service was called. */
export function forwardedHeader(address: string, port: number, hostname: string | null): string {
  const client = `for="${formatHostPort(address, port)}"`;
  return hostname === null ? client : `${client};host=${hostname}`;
}

/** The first `for=` of a `forwarded` header; null when there is none or it is no address with a port. */
export function forwardedFor(header: string): { readonly address: string; readonly port: number } | null {
  const value = forwardedToken(header, 'for');
  if (value === null) return null;
  const hostPort = splitHostPort(value);
  if (hostPort === null) return null;
  const address = canonicalIp(hostPort.host);
  return address === null ? null : { address, port: hostPort.port };
}

/** `host=` of a `forwarded` header, without quotes; null when it is absent, empty or no plain host name. */
export function forwardedHost(header: string): string | null {
  const value = forwardedToken(header, 'host');
  return value !== null && /^[a-zA-Z0-9._-]{1,253}$/.test(value) ? value : null;
}

function forwardedToken(header: string, name: 'for' | 'host'): string | null {
  if (header.length > forwardedBytesMax) return null;
  const first = header.split(',', 1)[0] ?? '';
  for (const part of first.split(';')) {
    const equals = part.indexOf('=');
    if (equals < 0 || part.slice(0, equals).trim().toLowerCase() !== name) continue;
    const value = part.slice(equals + 1).trim();
    return value.startsWith('"') && value.endsWith('"') && value.length >= 2 ? value.slice(1, -1) : value;
  }
  return null;
}

/** Longer than any that a proxy writes: an address, a port and a host name. */
const forwardedBytesMax = 1024;

const pool = Buffer.allocUnsafe(24 * 128);
let at = pool.length;

/** A fresh W3C trace context, not sampled. */
export function newTraceparent(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  const hex = pool.toString('hex', at, at + 24);
  at += 24;
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}
