// What the rows of codes are written with: manifests in a line, and services that stand beside those of the shop.
import type { FindingCode } from '../model/finding-codes.ts';
import type { SeenEdge } from './seen-edges.ts';

/** A manifest that trips a code, and how it is mended. */
export interface Row {
  readonly code: FindingCode;
  readonly bad: string;
  /** What is written instead. */
  readonly mend: readonly [string | RegExp, string];
  readonly says?: RegExp;
  readonly edges?: readonly SeenEdge[];
}

export const meta = 'metadata: {name: x, namespace: shop}';
export const one = (apiVersion: string, kind: string, spec: string, head = meta): string =>
  `{apiVersion: ${apiVersion}, kind: ${kind}, ${head}, spec: ${spec}}`;
export const policy = (spec: string, head = meta) => one('security.istio.io/v1', 'AuthorizationPolicy', spec, head);
export const tokens = (rules: string, target = ', targetRefs: [{group: "", kind: Service, name: cart}]') =>
  one('security.istio.io/v1', 'RequestAuthentication', `{jwtRules: ${rules}${target}}`);
export const peer = (spec: string, head = meta) => one('security.istio.io/v1', 'PeerAuthentication', spec, head);
export const route = (spec: string, head = meta) => one('gateway.networking.k8s.io/v1', 'HTTPRoute', spec, head);
export const toCart = 'parentRefs: [{group: "", kind: Service, name: cart}]';
export const ruled = (rules: string, head = meta) => route(`{${toCart}, rules: ${rules}}`, head);
export const virtual = (spec: string, head = meta) => one('networking.istio.io/v1', 'VirtualService', spec, head);
export const http = (rules: string, head = meta) => virtual(`{hosts: [cart], http: ${rules}}`, head);
export const plainRoute = 'route: [{destination: {host: cart}}]';
export const destination = (spec: string, head = meta) => one('networking.istio.io/v1', 'DestinationRule', spec, head);
export const traffic = (spec: string, head = meta) => one('ambient.mesh/v1alpha1', 'TrafficPolicy', spec, head);
export const service = (
  spec: string,
  head = 'metadata: {name: x, namespace: shop, labels: {ambient.mesh/use-waypoint: waypoint}}',
) => one('v1', 'Service', spec, head);
export const gateway = (spec: string, head = meta) => one('gateway.networking.k8s.io/v1', 'Gateway', spec, head);
export const pod = (spec: string, head: string) => one('v1', 'Pod', spec, head);
export const network = (spec: string) => one('networking.k8s.io/v1', 'NetworkPolicy', spec);
export const several = (...objects: string[]): string => objects.join('\n---\n');
export const containers = 'containers: [{name: c, image: i}]';
export const keys = '\'{"keys":[]}\'';

/** A second service behind the waypoint, with callers and routes of its own. */
export const pay = several(
  one(
    'v1',
    'Service',
    '{selector: {app: pay}, ports: [{name: http, port: 80}]}',
    'metadata: {name: pay, namespace: shop, labels: {ambient.mesh/use-waypoint: waypoint}}',
  ),
  one(
    'apps/v1',
    'Deployment',
    `{replicas: 3, selector: {matchLabels: {app: pay}}, template: {metadata: {labels: {app: pay}}, spec: {serviceAccountName: pay, ${containers}}}}`,
    'metadata: {name: pay, namespace: shop}',
  ),
);
export const cartCallsPay = policy(
  '{selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}]}]}',
  'metadata: {name: pay, namespace: shop}',
);
export const payRoute = (rule: string) =>
  virtual(
    `{hosts: [pay], http: [{route: [{destination: {host: pay}}], ${rule}}]}`,
    'metadata: {name: pay, namespace: shop}',
  );
export const outlier = (fields: string) => destination(`{host: pay, trafficPolicy: {outlierDetection: {${fields}}}}`);
export const portOutlier = (fields: string) =>
  destination(`{host: pay, trafficPolicy: {portLevelSettings: [{port: {number: 80}, outlierDetection: {${fields}}}]}}`);
export const subsetOutlier = (trafficPolicy: string, labels = '{app: pay}') =>
  destination(`{host: pay, subsets: [{name: v1, labels: ${labels}, trafficPolicy: ${trafficPolicy}}]}`);
/** Its pods are probed at /ready. */
export const probedPay = (port = 80) =>
  pay.replace(
    'image: i',
    `image: i, ports: [{containerPort: 80}], readinessProbe: {httpGet: {path: /ready, port: ${port}}}`,
  );
export const edge = (from: string, to: string, transport: SeenEdge['transport']): SeenEdge => ({
  from: { namespace: 'shop', workload: from },
  to: { namespace: 'shop', workload: to, service: `${to}.shop.svc.cluster.local` },
  transport,
  opened: 1,
  refused: 0,
});
