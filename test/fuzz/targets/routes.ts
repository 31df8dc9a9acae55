// Routes as people write them: manifests to compiled tables to what requests meet. No input may break the compiler, or
// give a waypoint a table that JSON cannot carry or a header that ends in the middle.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { newStickyCookie } from '../../../src/http/balance/request-hash.ts';
import { replaceByRegex } from '../../../src/http/exchange/patterns.ts';
import { locationOf, replacePrefix, splitTarget } from '../../../src/http/exchange/rewrite.ts';
import { compileRoutes, type RouteHit } from '../../../src/http/routes/route-table.ts';
import { readManifests } from '../../../src/kube/manifests.ts';
import { MeshCompiler } from '../../../src/model/compiler.ts';
import type { HeaderEdits, Redirect, Rewrite, ServiceRoutes } from '../../../src/model/route-types.ts';
import { broken, type FuzzTarget } from '../target.ts';
import { lineMutation, withoutTalk } from './yaml-lines.ts';

const folder = path.join(import.meta.dirname, '..', '..', 'fixtures', 'routes');
/** Documents of a page, without the remark at its head. */
const page = (name: string): string[] =>
  readFileSync(path.join(folder, `${name}.yaml`), 'utf8')
    .replace(/^(#.*\n)+/, '')
    .split('---\n');

const services = ['foo', 'reviews', 'ratings', 'v1', 'v2']
  .map(
    (name) => `---
{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: {clusterIP: 10.96.0.1, selector: {app: ${name}},
ports: [{name: http, port: 80}, {name: grpc, port: 50051}, {name: http-more, port: 9080}]}}
`,
  )
  .join('');

const delegated = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root}
spec: {hosts: [foo], http: [{match: [{uri: {prefix: /a}}], delegate: {name: child}}, {redirect: {uri: /b}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: child}
spec: {http: [{match: [{uri: {exact: /a/b}}], rewrite: {uriRegexRewrite: {match: "^/(.*)$", rewrite: "/\\\\1"}},
route: [
{destination: {host: v1, port: {number: 80}}, weight: 1}, {destination: {host: v2, subset: s}, weight: 0}]}]}
`;
const policies = `apiVersion: ambient.mesh/v1alpha1
kind: TrafficPolicy
metadata: {name: t}
spec: {targetRefs: [{kind: Service, name: foo}], retryBudget: {percent: 10}, timeouts: {idle: 5m}, healthPaths: [/h]}
---
apiVersion: ambient.mesh/v1alpha1
kind: RateLimitPolicy
metadata: {name: r}
spec: {targetRefs: [{kind: Service, name: foo}], limits: [{requests: 5, per: Minute, by: [{type: Header, name: x}]}]}
`;
const seeds = [
  ...page('gateway-api-guides'),
  ...page('gateway-api-grpc'),
  ...page('gateway-api-reference-grant'),
  ...page('istio-virtual-service'),
  ...page('istio-destination-rule'),
  ...page('istio-fault-injection'),
  ...page('istio-mirroring'),
  ...page('istio-locality'),
  delegated,
  policies,
];

const words = `
foo reviews ratings v1 v2 s default other mesh core "" "*" "." "~" Service Gateway HTTPRoute GRPCRoute VirtualService
name port weight filters backendRefs parentRefs matches path value type Exact PathPrefix RegularExpression headers
method queryParams timeouts request backendRequest retry codes attempts backoff hosts http match uri prefix exact regex
route destination subset redirect rewrite delegate mirror fault corsPolicy exportTo gateways
RequestRedirect URLRewrite CORS RequestMirror ExtensionRef
ReplacePrefixMatch "/" "//" "/a/" "/%2f" "(a+)+$" "[" "\\\\1" "a\\r\\nb:c" "a.b.c" "*.svc.cluster.local"
0s 1h 0.5s 99999h -1 0 1 80 9080 50051 65536 1e9 4294967296 true null ~ [] {} &a *a`
  .trim()
  .split(/\s+/);

const requests = [
  ['GET', '/', '', ''],
  ['POST', '/a/b?animal=whale&x', 'end-user', 'jason'],
  ['GET', '/wpcatalog/x?y=/', 'version', 'two'],
  ['OPTIONS', '/cors-behavior-creds-true', 'origin', 'https://a.bar.com'],
  ['POST', '/com.example.User/Login', 'env', 'canary'],
  ['DELETE', '/a//%2e%2e/\u00e9', 'traffic', 'test'],
] as const;

/** What may stand in neither a header nor a request line. */
function assertClean(text: string, what: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not stand there
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text))
    broken(`${what} has a control character: ${JSON.stringify(text)}`);
}

function checkEdits({ set, add }: HeaderEdits): void {
  for (const [name, value] of [...set, ...add]) assertClean(name + value, 'an edited header');
}

function checkRewrite(rewrite: Rewrite, hit: RouteHit, target: string): void {
  const [before, query] = splitTarget(target);
  const change = rewrite.path;
  if (rewrite.authority !== null) assertClean(rewrite.authority, 'an authority');
  if (change === null) return;
  const prefixed = change.kind === 'prefix' ? replacePrefix(before, hit.path, change.value) : change.value;
  const after = change.kind === 'regex' ? replaceByRegex(change, before) : prefixed;
  assertClean(after + query, 'a rewritten path');
}

function checkRedirect(redirect: Redirect, hit: RouteHit, target: string): void {
  const request = { scheme: 'http', authority: 'foo:80', target, port: 80 };
  assertClean(locationOf(redirect, request, hit.path), 'a location');
}

/** What a waypoint does with a request that matched. */
function obey(hit: RouteHit, target: string): string {
  const { rule } = hit;
  checkEdits(rule.requestHeaders);
  checkEdits(rule.responseHeaders);
  if (rule.rewrite !== null) checkRewrite(rule.rewrite, hit, target);
  if (rule.action.kind === 'redirect') checkRedirect(rule.action.redirect, hit, target);
  if (rule.cors !== null) {
    const { allowMethods, allowHeaders, exposeHeaders } = rule.cors;
    assertClean([...allowMethods, ...allowHeaders, ...exposeHeaders].join(), 'a list of CORS');
  }
  for (const one of rule.action.kind === 'forward' ? rule.action.backends : []) {
    checkEdits(one.requestHeaders);
    checkEdits(one.responseHeaders);
    if (one.filters?.rewrite != null) checkRewrite(one.filters.rewrite, hit, target);
    if (one.filters?.redirect != null) checkRedirect(one.filters.redirect, hit, target);
  }
  return rule.action.kind;
}

function matchAll(routes: ServiceRoutes): string {
  const carried = JSON.parse(JSON.stringify(routes)) as ServiceRoutes;
  if (!isDeepStrictEqual(carried, routes)) broken('a table does not survive JSON');
  const table = compileRoutes(carried);
  const { hash } = carried.destination.policy.loadBalancing;
  if (hash !== null) assertClean(newStickyCookie(hash, () => 0.5)?.setCookie ?? '', 'a cookie');
  const met = new Set<string>();
  for (const { port } of carried.ports) {
    for (const [method, target, name, value] of requests) {
      const headers = { get: (asked: string) => (asked === name ? value : null) };
      const request = { method, authority: 'foo', scheme: 'http', headers };
      const hit = table.match(port, request, target, { workload: null }, null);
      met.add(hit === null ? 'none' : obey(hit, target));
    }
  }
  return [...met].sort().join();
}

function run(text: string): string {
  const compiler = new MeshCompiler({
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    rootNamespaces: ['ambient-system'],
    expandTemplates: true,
  });
  const { resources } = readManifests([
    { text: services, file: 'services.yaml' },
    { text, file: 'fuzz.yaml' },
  ]);
  for (const resource of resources) compiler.upsert(resource);
  const { issues } = compiler.flush();
  for (const issue of issues) if (issue.place === null || issue.message === '') broken('a finding without a place');
  for (const status of compiler.statuses()) {
    const all = [...status.conditions, ...status.parents.flatMap((parent) => parent.conditions)];
    if (all.some((one) => !/^[A-Z][A-Za-z]+$/.test(one.reason))) broken('a condition without a reason');
  }
  const met = (compiler.mesh().routes ?? []).map(matchAll);
  for (const { kind, namespace, name } of resources) compiler.delete(kind, namespace, name);
  compiler.flush();
  const left = compiler.mesh().routes?.length ?? 0;
  if (left > 0 || compiler.issues().length > 0) broken('something is left of routes without objects');
  const said = issues.map(({ message }) => message.replaceAll(/"[^"]*"|\d+/g, '#').slice(0, 40));
  return `${[...new Set(met)].sort().join(' ')} ${[...new Set(said)].sort().slice(0, 2).join(' ')}`;
}

export const routesTarget: FuzzTarget = {
  name: 'routes',
  seeds,
  words,
  bytesMax: 2048,
  quickInputs: 800,
  mutate: lineMutation(words, seeds),
  run: (input) => withoutTalk(() => run(input.toString('utf8'))),
};
