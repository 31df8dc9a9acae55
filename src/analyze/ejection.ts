// Ejection (outlierDetection) that does more than its author meant: trips over answers of a health path, leaves too few
// endpoints, or has none to take away.
import { hostnameOf } from '../model/compile-service.ts';
import { selects } from '../model/label-index.ts';
import type { Labels, Resource, ResourcePath, ServiceResource } from '../model/resources.ts';
import type { DestinationRuleResource, TrafficLevel } from '../model/route-resources.ts';
import type { Destination, DestinationPolicy, OutlierPolicy } from '../model/route-types.ts';
import type { AnalyzedMesh, PodLike } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import { type HttpProbe, probesOf } from './probes.ts';
import { serviceRoutes } from './written-rules.ts';

/** Fewer endpoints than this are few. */
const fewEndpoints = 3;

/** Where ejection is written: for all endpoints of a service, for one port, for a subset, or for a port of that. */
interface Level {
  readonly rule: DestinationRuleResource;
  readonly path: ResourcePath;
  /** As it is compiled: with every default. */
  readonly policy: DestinationPolicy;
  readonly service: ServiceResource;
  /** Null: all of them. */
  readonly subset: { readonly name: string; readonly labels: Labels } | null;
  readonly port: number | null;
}

/** Looks at every service whose endpoints a waypoint may eject. */
export const ejection: Analyzer = (mesh, report) => {
  if (!mesh.of('DestinationRule').some(ejects)) return;
  const byKey = new Map(
    mesh
      .of('Service')
      .map((one) => [`${one.namespace}/${hostnameOf(one.namespace, one.name, mesh.options.clusterDomain)}`, one]),
  );
  for (const { service: key, destination } of serviceRoutes(mesh)) {
    const service = byKey.get(key);
    if (service === undefined) continue;
    for (const level of levelsOf(service, destination, rulesOf(mesh, destination))) {
      const { outlier } = level.policy;
      if (outlier === null) continue;
      const among = level.subset?.labels ?? {};
      const pods = mesh.podsOf(service).filter(({ labels }) => selects(among, labels));
      reportFew(level, outlier, mesh.countOf(pods), report);
      reportProbes(level, pods, report);
    }
  }
};

function ejects({ traffic, subsets }: DestinationRuleResource): boolean {
  return [traffic, ...subsets.map((subset) => subset.traffic)].some(
    (level) => level !== null && [level, ...level.ports.map(({ settings }) => settings)].some(({ outlier }) => outlier),
  );
}

/** The DestinationRules of a service, the one that decides first. */
function rulesOf(mesh: AnalyzedMesh, { policy }: Destination): readonly DestinationRuleResource[] {
  return policy.from.flatMap((key) => {
    const [kind, namespace = '', name = ''] = key.split('/');
    const found: Resource | undefined = kind === 'DestinationRule' ? mesh.resource(kind, namespace, name) : undefined;
    return found?.kind === 'DestinationRule' ? [found] : [];
  });
}

/** Where ejection is written for a service, and by the rule that decides there; what is inherited is written above. */
function levelsOf(
  service: ServiceResource,
  destination: Destination,
  rules: readonly DestinationRuleResource[],
): readonly Level[] {
  const all = rules.find(({ traffic }) => traffic !== null);
  const levels = all === undefined ? [] : levelsIn(all, { service, subset: null }, all.traffic, ['spec'], destination);
  const known = new Set<string>();
  for (const rule of rules) {
    for (const [at, subset] of rule.subsets.entries()) {
      const compiled = destination.subsets.find(({ name }) => name === subset.name);
      if (compiled === undefined || known.has(subset.name)) continue;
      known.add(subset.name);
      levels.push(...levelsIn(rule, { service, subset }, subset.traffic, ['spec', 'subsets', at], compiled));
    }
  }
  return levels;
}

function levelsIn(
  rule: DestinationRuleResource,
  which: Pick<Level, 'service' | 'subset'>,
  traffic: TrafficLevel | null,
  at: ResourcePath,
  compiled: Pick<Destination, 'policy' | 'portPolicies'>,
): Level[] {
  if (traffic === null) return [];
  const above = [...at, 'trafficPolicy'];
  const own = traffic.outlier === null ? [] : [{ port: null, policy: compiled.policy, path: above }];
  const ofPorts = traffic.ports.flatMap(({ port, settings }, index) => {
    const policy = compiled.portPolicies.find((one) => one.port === port)?.policy;
    if (settings.outlier === null || policy === undefined) return [];
    return [{ port, policy, path: [...above, 'portLevelSettings', index] }];
  });
  return [...own, ...ofPorts].map((level) => ({ ...level, ...which, rule, path: [...level.path, 'outlierDetection'] }));
}

/** `port 80 of subset v2 of Service shop/cart`. */
function titleOf({ service, subset, port }: Level): string {
  const ofPort = port === null ? '' : `port ${port} of `;
  const ofSubset = subset === null ? '' : `subset ${subset.name} of `;
  return `${ofPort}${ofSubset}Service ${service.namespace}/${service.name}`;
}

function reportFew(level: Level, outlier: OutlierPolicy, count: number, report: Report): void {
  if (count === 0) return;
  const { rule, path } = level;
  const title = titleOf(level);
  const errors = [outlier.consecutive5xx, outlier.consecutiveGatewayErrors].filter((one) => one > 0);
  if (count === 1) {
    const message = `${title} has one endpoint: it is never taken out, as nobody could stand in for it`;
    report(rule, 'AMB1023', path, message, 'run more than one replica, or leave outlierDetection out');
    return;
  }
  // As the waypoint counts: at least one may go, the last one stays.
  const ejectable = Math.min(count - 1, Math.max(1, Math.floor((count * outlier.maxEjectionPercent) / 100)));
  if (count >= fewEndpoints && ejectable === count - 1 && outlier.minHealthPercent === 0) {
    const message = `all but one of the ${count} endpoints of ${title} may be out at once: the last gets everything`;
    const fix = 'maxEjectionPercent: 50 or less, or a minHealthPercent from which on nobody is taken out';
    report(rule, 'AMB1023', [...path, 'maxEjectionPercent'], message, fix);
  } else if (Math.min(...errors) === 1) {
    const share = Math.round((100 * ejectable) / count);
    const message = `one failed request takes an endpoint of ${title} out, up to ${ejectable} of ${count} (${share} %)`;
    report(rule, 'AMB1023', path, message, 'ask for more errors in a row, such as consecutive5xxErrors: 5');
  }
}

/** The kubelet asks pods directly; who asks the same path through the mesh gets its 503 counted as a failure. */
function reportProbes(level: Level, pods: readonly PodLike[], report: Report): void {
  const { outlier, healthPaths } = level.policy;
  const errors = Math.max(outlier?.consecutive5xx ?? 0, outlier?.consecutiveGatewayErrors ?? 0);
  if (errors === 0) return;
  const open = pods.flatMap((pod) =>
    probesOf(pod).filter((probe) => isReachable(level, pod, probe) && !healthPaths.includes(probe.path)),
  );
  const [first] = open.filter(({ path: asked }) => asked !== '/');
  if (first === undefined) return;
  const paths = [...new Set(open.map((probe) => probe.path))].filter((one) => one !== '/').sort();
  const message =
    `${first.path} is a ${first.kind} probe of ${titleOf(level)}: whoever asks it through the waypoint ` +
    `(a monitor, a load balancer) and gets a 5xx ${errors} times in a row has the endpoint taken out`;
  const fix = `declare it in a TrafficPolicy of the Service: healthPaths: [${paths.join(', ')}]`;
  report(level.rule, 'AMB1022', level.path, message, fix);
}

/** The port of the probe is one that the Service, or the port of it that is meant, leads to. */
function isReachable({ service, port: meant }: Level, { spec }: PodLike, { port }: HttpProbe): boolean {
  const named = spec.ports.find((one) => one.name === port || one.port === port);
  const ports = service.ports.filter((one) => meant === null || one.port === meant);
  return ports.some(({ targetPort }) => {
    return targetPort === port || (named !== undefined && (targetPort === named.name || targetPort === named.port));
  });
}
