// Host names as VirtualService and DestinationRule write them.
import { hostnameOf } from '../compile-service.ts';

/** `NAMESPACE/NAME` of the Service with a hostname of the cluster; null for any other name. */
export function serviceIdOf(hostname: string, clusterDomain: string): string | null {
  const suffix = `.svc.${clusterDomain}`;
  if (!hostname.endsWith(suffix)) return null;
  const [name, namespace, ...rest] = hostname.slice(0, -suffix.length).split('.');
  return name === undefined || name === '' || namespace === undefined || rest.length > 0
    ? null
    : `${namespace}/${name}`;
}

/** The host in full: a short name is one of the namespace it was written in. */
export function fullHost(host: string, namespace: string, clusterDomain: string): string {
  const lower = host.toLowerCase();
  if (lower === '*' || lower.startsWith('*.')) return lower;
  if (!lower.includes('.')) return hostnameOf(namespace, lower, clusterDomain);
  const parts = lower.split('.');
  // `NAME.NAMESPACE` and `NAME.NAMESPACE.svc` are taken as people mean them.
  if (parts.length === 2) return hostnameOf(parts[1]!, parts[0]!, clusterDomain);
  if (parts.length === 3 && parts[2] === 'svc') return hostnameOf(parts[1]!, parts[0]!, clusterDomain);
  return lower;
}

/** Why a host that was looked for in vain is not there; a host with dots may be one that only a ServiceEntry knows. */
export function unknownHost(written: string, full: string, clusterDomain: string): string {
  if (!written.includes('.') || written.endsWith(`.svc.${clusterDomain}`))
    return `host ${full} is no service of the mesh`;
  return `host ${written} is no service of the mesh, and waypoints route to no host of a ServiceEntry`;
}

/** The patterns that cover a hostname, the closest first: itself, `*.` and each of its ends, `*`. */
export function patternsOf(hostname: string): string[] {
  const parts = hostname.split('.');
  return [hostname, ...parts.slice(1).map((_, at) => `*.${parts.slice(at + 1).join('.')}`), '*'];
}

/** True when the pattern is the hostname or covers it. */
export function coversHost(pattern: string, hostname: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : pattern === hostname;
}

/** True for what reaches into `namespace` by its exportTo; an empty list reaches everywhere. */
export function isExported(exportTo: readonly string[], own: string, namespace: string): boolean {
  if (exportTo.length === 0) return true;
  return exportTo.some((one) => one === '*' || one === namespace || (one === '.' && own === namespace));
}
