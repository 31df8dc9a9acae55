// Matches that no request can meet, alone or because an earlier rule of a VirtualService takes them all; claims that
// nobody verifies; and destinations without the port that is asked for.
import type { ServiceResource } from '../model/resources.ts';
import type { VirtualMatch, VirtualServiceResource } from '../model/route-resources.ts';
import type { NamedMatch, PathMatch, RouteMatch, ValueMatch } from '../model/route-types.ts';
import { fullHost, serviceIdOf } from '../model/routes/hosts.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import type { Change } from './changes.ts';
import { serviceRoutes } from './written-rules.ts';

/** Looks at the matches of routes and VirtualServices. */
export const matches: Analyzer = (mesh, report) => {
  const namespaces = mesh.namespaceNames();
  for (const route of mesh.gatewayRoutes()) {
    for (const [at, rule] of route.rules.entries()) {
      for (const [branch, { path }] of rule.matches.entries()) {
        const reason = impossiblePath(path);
        if (reason !== null) reportImpossible(route, ['spec', 'rules', at, 'matches', branch, 'path'], reason, report);
      }
    }
  }
  for (const virtual of mesh.of('VirtualService')) {
    const services = servicesOf(mesh, virtual);
    for (const [at, rule] of virtual.http.entries()) {
      for (const [branch, match] of rule.matches.entries()) {
        const path = ['spec', 'http', at, 'match', branch];
        const reason = impossible(match, services, namespaces);
        if (reason === null) continue;
        const { field, words } = reason;
        const from = match.method?.value ?? '';
        const change: Change | null =
          field === 'method' ? { kind: 'value', path: [...path, field, 'exact'], from, to: from.toUpperCase() } : null;
        reportImpossible(virtual, [...path, field], words, report, change);
      }
    }
    reportShadowed(virtual, report);
    reportPorts(mesh, virtual, services, report);
  }
  reportClaims(mesh, report);
};

function reportImpossible(
  resource: Parameters<Report>[0],
  path: (string | number)[],
  reason: string,
  report: Report,
  change: Change | null = null,
): void {
  report(
    resource,
    'AMB1028',
    path,
    `no request can match: ${reason}`,
    'correct it; a rule with this match alone does nothing',
    change,
  );
}

/** Why no path is like that; null when one can be. */
function impossiblePath(path: PathMatch | null): string | null {
  if (path === null || path.kind === 'regex') return null;
  const { value } = path;
  const odd = ['?', '#'].find((one) => value.includes(one));
  if (odd !== undefined) return `a path has no ${odd} ("${value}"); a query is matched by queryParams`;
  return value.startsWith('/') || value === '' || value === '*' ? null : `a path begins with / ("${value}")`;
}

function impossible(
  match: VirtualMatch,
  services: readonly ServiceResource[],
  namespaces: ReadonlySet<string>,
): { readonly field: string; readonly words: string } | null {
  const path = impossiblePath(match.path);
  if (path !== null) return { field: 'uri', words: path };
  const ports = services.flatMap((one) => one.ports.map(({ port }) => port));
  if (match.port !== 0 && services.length > 0 && !ports.includes(match.port)) {
    const all = [...new Set(ports)].join(', ');
    return { field: 'port', words: `none of its services has port ${match.port}; they have ${all || 'none'}` };
  }
  const { sourceNamespace } = match;
  if (sourceNamespace !== '' && !namespaces.has(sourceNamespace)) {
    return { field: 'sourceNamespace', words: `namespace ${sourceNamespace} is not there: nobody comes from it` };
  }
  const both = match.headers.find(
    (one) => !one.invert && match.headers.some((other) => other.invert && isSame(one, other)),
  );
  if (both !== undefined)
    return { field: 'headers', words: `header ${both.name} is asked for and, in withoutHeaders, refused` };
  const method = match.method;
  if (method?.kind !== 'exact' || method.value === method.value.toUpperCase()) return null;
  return { field: 'method', words: `methods are written in capitals ("${method.value}")` };
}

function isSame(one: NamedMatch, other: NamedMatch): boolean {
  if (one.name !== other.name) return false;
  return other.match.kind === 'present' || sameValue(one.match, other.match);
}

/** The services that a VirtualService is about, wildcards left out. */
function servicesOf(mesh: AnalyzedMesh, virtual: VirtualServiceResource): ServiceResource[] {
  const { clusterDomain } = mesh.options;
  return virtual.hosts.flatMap((host) => {
    const id = serviceIdOf(fullHost(host, virtual.namespace, clusterDomain), clusterDomain);
    const [namespace = '', name = ''] = id?.split('/') ?? [];
    const service = mesh.resource('Service', namespace, name);
    return service?.kind === 'Service' ? [service] : [];
  });
}

/** Rules are tried in order: one whose every match is within an earlier one is never reached (IST0130, IST0131). */
function reportShadowed(virtual: VirtualServiceResource, report: Report): void {
  const before: { readonly rule: number; readonly match: VirtualMatch }[] = [];
  for (const [rule, { matches: own }] of virtual.http.entries()) {
    const shadows = own.map((match) => before.find((earlier) => covers(earlier.match, match)));
    for (const match of own) before.push({ rule, match });
    // What stands behind a rule that takes everything is said by the compiler.
    if (own.length === 0) return;
    const [first] = shadows;
    if (first !== undefined && !shadows.includes(undefined)) {
      const message = `rule ${rule} can never match: rule ${first.rule} comes first and takes all of its requests`;
      report(virtual, 'AMB1015', ['spec', 'http', rule], message, 'move it up, or narrow the other one');
      continue;
    }
    const lost = shadows.findIndex((shadow) => shadow !== undefined);
    if (lost < 0) continue;
    const message = `match ${lost} of rule ${rule} does nothing: rule ${shadows[lost]?.rule} takes all of its requests`;
    report(virtual, 'AMB1015', ['spec', 'http', rule, 'match', lost], message, 'remove it, or move the rule up');
  }
}

/** True when every request that meets `inner` meets `outer`. */
function covers(outer: VirtualMatch, inner: VirtualMatch): boolean {
  const within = (wide: ValueMatch | null, narrow: ValueMatch | null): boolean =>
    wide === null || (narrow !== null && sameValue(wide, narrow));
  if (outer.port !== 0 && outer.port !== inner.port) return false;
  if (outer.gateways.length > 0 && outer.gateways.join() !== inner.gateways.join()) return false;
  if (outer.sourceNamespace !== '' && outer.sourceNamespace !== inner.sourceNamespace) return false;
  if (Object.entries(outer.sourceLabels).some(([key, value]) => inner.sourceLabels[key] !== value)) return false;
  return (
    coversPath(outer.path, inner.path) &&
    within(outer.method, inner.method) &&
    within(outer.scheme, inner.scheme) &&
    within(outer.authority, inner.authority) &&
    hasAll(inner.headers, outer.headers) &&
    hasAll(inner.query, outer.query) &&
    hasAll(inner.claims, outer.claims)
  );
}

function coversPath(outer: PathMatch | null, inner: PathMatch | null): boolean {
  if (outer === null) return true;
  if (inner === null || outer.ignoreCase !== inner.ignoreCase) return false;
  if (outer.kind === 'prefix' && inner.kind !== 'regex') return inner.value.startsWith(outer.value);
  return outer.kind === inner.kind && outer.value === inner.value;
}

function hasAll(inner: readonly unknown[], outer: readonly unknown[]): boolean {
  const known = new Set(inner.map((one) => JSON.stringify(one)));
  return outer.every((one) => known.has(JSON.stringify(one)));
}

function sameValue(a: ValueMatch, b: ValueMatch): boolean {
  return a.kind === b.kind && a.value === b.value && a.ignoreCase === b.ignoreCase;
}

/** Without a port a destination of several gets the one that was asked for, which it may not have (IST0112). */
function reportPorts(
  mesh: AnalyzedMesh,
  virtual: VirtualServiceResource,
  services: readonly ServiceResource[],
  report: Report,
): void {
  const { clusterDomain } = mesh.options;
  const asked = [...new Set(services.flatMap((one) => tcpPorts(one)))];
  for (const one of virtual.http.flatMap(({ route }) => route)) {
    if (one.port !== null) continue;
    const id = serviceIdOf(fullHost(one.host, virtual.namespace, clusterDomain), clusterDomain);
    const [namespace = '', name = ''] = id?.split('/') ?? [];
    const service = mesh.resource('Service', namespace, name);
    const ports = service?.kind === 'Service' ? tcpPorts(service) : [];
    const missing = asked.filter((port) => !ports.includes(port));
    if (ports.length < 2 || missing.length === 0) continue;
    const message =
      `names no port of Service ${id}, which has ${ports.join(', ')}: requests for port ${missing.join(', ')} of ` +
      `${virtual.hosts.join(', ')} get 503`;
    report(virtual, 'AMB1029', [...one.path, 'destination'], message, `add port: {number: ${ports[0]}}`);
  }
}

function tcpPorts(service: ServiceResource): number[] {
  return service.ports.filter(({ protocol }) => protocol === 'TCP').map(({ port }) => port);
}

/** Claims are those of a verified token; where nobody verifies any, no request has them (IST0149). */
function reportClaims(mesh: AnalyzedMesh, report: Report): void {
  const told = new Set<string>();
  for (const { ports, jwtRules } of serviceRoutes(mesh)) {
    if (jwtRules !== undefined && jwtRules.length > 0) continue;
    for (const { entries, rules } of ports) {
      for (const { match, rule } of entries) {
        const origin = rules[rule]?.origin;
        if (!asksClaims(match) || origin?.kind !== 'VirtualService') continue;
        const { namespace, name, rule: at } = origin;
        const virtual = mesh.resource('VirtualService', namespace, name);
        const key = `${namespace}/${name}/${at}`;
        if (virtual === undefined || told.has(key)) continue;
        told.add(key);
        const message = `rule ${at} asks for claims of a token, and no RequestAuthentication verifies tokens there: it matches nothing`;
        const fix = 'attach a RequestAuthentication to the Service or its waypoint, with targetRefs';
        report(virtual, 'AMB1030', ['spec', 'http', at, 'match'], message, fix);
      }
    }
  }
}

function asksClaims({ claims }: RouteMatch): boolean {
  return claims.some(({ invert }) => !invert);
}
