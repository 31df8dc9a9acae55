// Ejection (outlierDetection) that does more than its author meant: trips over answers of a health path, leaves too few
// endpoints, or has none to take away.
import { hostnameOf } from '../model/compile-service.ts';
import type { Resource, ServiceResource } from '../model/resources.ts';
import type { DestinationRuleResource } from '../model/route-resources.ts';
import type { DestinationPolicy, OutlierPolicy } from '../model/route-types.ts';
import type { AnalyzedMesh, PodLike } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import { type HttpProbe, probesOf } from './probes.ts';
import { serviceRoutes } from './written-rules.ts';

/** Fewer endpoints than this are few. */
const fewEndpoints = 3;

/** Looks at every service whose endpoints a waypoint may eject. */
export const ejection: Analyzer = (mesh, report) => {
  const ejecting = serviceRoutes(mesh).filter(({ destination }) => destination.policy.outlier !== null);
  if (ejecting.length === 0) return;
  const byKey = new Map(
    mesh
      .of('Service')
      .map((one) => [`${one.namespace}/${hostnameOf(one.namespace, one.name, mesh.options.clusterDomain)}`, one]),
  );
  for (const { service: key, destination } of ejecting) {
    const service = byKey.get(key);
    const { policy } = destination;
    const rule = service === undefined ? undefined : ruleOf(mesh, policy);
    if (service === undefined || rule === undefined || policy.outlier === null) continue;
    const pods = mesh.podsOf(service);
    reportFew(rule, service, policy.outlier, mesh.countOf(pods), report);
    reportProbes(rule, service, policy, pods, report);
  }
};

/** The DestinationRule that says so. */
function ruleOf(mesh: AnalyzedMesh, { from }: DestinationPolicy): DestinationRuleResource | undefined {
  for (const key of from) {
    const [kind, namespace = '', name = ''] = key.split('/');
    const found: Resource | undefined = kind === 'DestinationRule' ? mesh.resource(kind, namespace, name) : undefined;
    if (found?.kind === 'DestinationRule' && found.traffic?.outlier != null) return found;
  }
  return undefined;
}

const path = ['spec', 'trafficPolicy', 'outlierDetection'];

function reportFew(
  rule: DestinationRuleResource,
  { namespace, name }: ServiceResource,
  outlier: OutlierPolicy,
  count: number,
  report: Report,
): void {
  const title = `Service ${namespace}/${name}`;
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
function reportProbes(
  rule: DestinationRuleResource,
  service: ServiceResource,
  { outlier, healthPaths }: DestinationPolicy,
  pods: readonly PodLike[],
  report: Report,
): void {
  const errors = Math.max(outlier?.consecutive5xx ?? 0, outlier?.consecutiveGatewayErrors ?? 0);
  if (errors === 0) return;
  const open = pods.flatMap((pod) =>
    probesOf(pod).filter((probe) => isReachable(service, pod, probe) && !healthPaths.includes(probe.path)),
  );
  const [first] = open.filter(({ path: asked }) => asked !== '/');
  if (first === undefined) return;
  const { namespace, name } = service;
  const paths = [...new Set(open.map((probe) => probe.path))].filter((one) => one !== '/').sort();
  const message =
    `${first.path} is a ${first.kind} probe of Service ${namespace}/${name}: whoever asks it through the waypoint ` +
    `(a monitor, a load balancer) and gets a 5xx ${errors} times in a row has the endpoint taken out`;
  const fix = `declare it in a TrafficPolicy of the Service: healthPaths: [${paths.join(', ')}]`;
  report(rule, 'AMB1022', path, message, fix);
}

/** The port of the probe is one that the Service leads to. */
function isReachable(service: ServiceResource, { spec }: PodLike, { port }: HttpProbe): boolean {
  const named = spec.ports.find((one) => one.name === port || one.port === port);
  return service.ports.some(({ targetPort }) => {
    return targetPort === port || (named !== undefined && (targetPort === named.name || targetPort === named.port));
  });
}
