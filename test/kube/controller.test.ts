// The whole controller under the role that an installation gives it. The default run starts our own API server for it,
// `npm run test:kube -- --kubeconfig FILE` takes the one that the file leads to; kinds of Gateway API and Istio that it
// does not have are defined for the test, with the constraints of theirs that a status meets.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { parse } from 'yaml';
import { prepared, eventually as soon } from '../../src/controller/testing-controller.ts';
import { openChannel } from '../../src/discovery/channel.ts';
import {
  IstioCertificateRequestSchema,
  IstioCertificateService,
} from '../../src/discovery/generated/certificate_pb.ts';
import { createCsr } from '../../src/identity/csr.ts';
import { controllerObjects } from '../../src/install/controller-objects.ts';
import { readValues } from '../../src/install/values.ts';
import { rootPath, watchedKinds } from '../../src/kube/api/kinds.ts';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import { eventually, ok, pod } from './api-case.ts';
import { ApiClient, type Json, type Target } from './api-client.ts';
import { definitionsPath, foreignDefinitions } from './foreign-definitions.ts';
import { targetOfKubeconfig } from './kubeconfig.ts';

const file = process.env.AMBIENT_KUBECONFIG ?? '';
const timeout = { timeout: 120_000 };
const unique = `ambient-test-${randomBytes(4).toString('hex')}`;
const system = `${unique}-system`;
const shop = `${unique}-shop`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const crdFolder = path.join(import.meta.dirname, '../../deploy/crds');

const reading: readonly string[] = ['get', 'list', 'watch'];
/** What the controller writes outside of namespaces. */
const ofCluster: readonly string[] = ['tokenreviews', 'gatewayclasses', 'gatewayclasses/status'];
const gatewayClass = '/apis/gateway.networking.k8s.io/v1/gatewayclasses/ambient-waypoint';

let server: ApiServer | null = null;
let target: Target;
let api: ApiClient;
let hadClass = false;
/** What goes at the end, last first. */
const made: string[] = [];

const inNamespace = (namespace: string, plural = ''): string =>
  `/api/v1/namespaces/${namespace}${plural === '' ? '' : `/${plural}`}`;

async function make(list: string, object: Json): Promise<Json> {
  made.unshift(`${list}/${object.metadata.name}`);
  return ok(await api.post(list, object), 201);
}

before(async () => {
  if (file === '') {
    server = new ApiServer();
    target = await server.start();
  } else target = targetOfKubeconfig(file);
  api = new ApiClient(target);
  hadClass = (await api.get(gatewayClass)).status === 200;
  const own = readdirSync(crdFolder).map((name) => parse(readFileSync(path.join(crdFolder, name), 'utf8')) as Json);
  for (const definition of [...foreignDefinitions, ...own] as Json[]) {
    const { status } = await api.get(`${definitionsPath}/${definition.metadata.name}`);
    if (status === 404) await make(definitionsPath, definition);
  }
  for (const kind of watchedKinds) {
    const list = `${rootPath(kind, kind.versions[0]!)}/${kind.plural}`;
    await eventually(async () => void ok(await api.get(`${list}?limit=1`)));
  }
});

after(async () => {
  if (!hadClass) await api.delete(gatewayClass);
  for (const each of made) await api.delete(each, { gracePeriodSeconds: 0 });
  api.close();
  await server?.close();
});

/** The shipped roles: what reads everywhere, and all of it in the two namespaces of this test. */
async function grant(): Promise<void> {
  const objects = controllerObjects(await readValues({ sets: [`namespace=${system}`] })) as readonly Json[];
  const found = (kind: string): Json => objects.find((one) => one.kind === kind) ?? assert.fail(`no ${kind}`);
  const subjects = [{ kind: 'ServiceAccount', name: 'ambient-controller', namespace: system }];
  const apiGroup = 'rbac.authorization.k8s.io';
  const bind = (namespace: string | null, kind: string, name: string): Promise<Json> => {
    const scope = namespace === null ? `${rbac}/clusterrolebindings` : `${rbac}/namespaces/${namespace}/rolebindings`;
    const bound = namespace === null ? 'ClusterRoleBinding' : 'RoleBinding';
    const metadata = { name: `${unique}-${kind.toLowerCase()}-${name}`.slice(0, 63) };
    return make(scope, {
      apiVersion: `${apiGroup}/v1`,
      kind: bound,
      metadata,
      subjects,
      roleRef: { apiGroup, kind, name },
    });
  };
  const role = found('ClusterRole');
  const isOfCluster = (rule: Json): boolean => rule.resources.some((one: string) => ofCluster.includes(one));
  const rules = role.rules.flatMap((rule: Json) => {
    const verbs = rule.verbs.filter((verb: string) => isOfCluster(rule) || reading.includes(verb));
    return verbs.length === 0 ? [] : [{ ...rule, verbs }];
  });
  await make(`${rbac}/clusterroles`, { ...role, metadata: { name: unique } });
  await make(`${rbac}/clusterroles`, { ...role, metadata: { name: `${unique}-read` }, rules });
  await make(`${rbac}/namespaces/${system}/roles`, found('Role'));
  await bind(null, 'ClusterRole', `${unique}-read`);
  for (const namespace of [system, shop]) await bind(namespace, 'ClusterRole', unique);
  await bind(system, 'Role', found('Role').metadata.name);
}

const account = (name: string): Json => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });

async function tokenOf(name: string, boundTo: Json | null, audiences?: readonly string[]): Promise<string> {
  const ref = boundTo === null ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...boundTo } };
  const spec = { expirationSeconds: 3_600, ...(audiences === undefined ? {} : { audiences }), ...ref };
  const list = `${inNamespace(system, 'serviceaccounts')}/${name}/token`;
  return ok(await api.post(list, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }), 201).status
    .token;
}

async function runPod(namespace: string, name: string, node: string, serviceAccountName: string): Promise<Json> {
  const spec = { nodeName: node, serviceAccountName, automountServiceAccountToken: false };
  const { metadata } = await make(inNamespace(namespace, 'pods'), pod(name, spec));
  const status = { phase: 'Running', podIP: '10.244.1.7', podIPs: [{ ip: '10.244.1.7' }] };
  ok(await api.patch('merge', `${inNamespace(namespace, 'pods')}/${name}/status`, { status }));
  return { name, uid: metadata.uid };
}

const serviceRef = { group: '', kind: 'Service', name: 'pay' };
const gatewayGroup = 'gateway.networking.k8s.io';
const backendRefs = [{ name: 'pay', port: 80 }];
const fromWeb = [{ from: [{ source: { principals: [`cluster.local/ns/${shop}/sa/web`] } }] }];

/** One object of every kind that the controller says something about, or reads beside those. */
const objects: Readonly<Record<string, Json>> = {
  Gateway: { gatewayClassName: 'ambient-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  HTTPRoute: { parentRefs: [serviceRef], rules: [{ backendRefs }] },
  GRPCRoute: { parentRefs: [{ ...serviceRef, name: 'rpc' }], rules: [{ backendRefs: [{ name: 'rpc', port: 80 }] }] },
  ReferenceGrant: {
    from: [{ group: gatewayGroup, kind: 'HTTPRoute', namespace: system }],
    to: [{ group: '', kind: 'Service' }],
  },
  PeerAuthentication: { mtls: { mode: 'STRICT' } },
  AuthorizationPolicy: { targetRefs: [serviceRef], action: 'ALLOW', rules: fromWeb },
  RequestAuthentication: { targetRefs: [serviceRef], jwtRules: [{ issuer: 'i', jwksUri: 'https://example.com/keys' }] },
  CertificateRevocation: { serials: ['4f1d'] },
  VirtualService: { hosts: ['rpc'], http: [{ route: [{ destination: { host: 'rpc' } }] }] },
  DestinationRule: { host: 'pay', trafficPolicy: { connectionPool: { tcp: { maxConnections: 5 } } } },
  RateLimitPolicy: { targetRefs: [{ group: gatewayGroup, kind: 'HTTPRoute', name: 'it' }], limits: [{ requests: 5 }] },
  TrafficPolicy: { targetRefs: [serviceRef], healthPaths: ['/healthz'] },
};
const silent: readonly string[] = ['ReferenceGrant', 'PeerAuthentication', 'CertificateRevocation'];

function listOf(kind: string): { readonly list: string; readonly apiVersion: string } {
  const entry = watchedKinds.find((one) => one.kind === kind) ?? assert.fail(kind);
  const root = rootPath(entry, entry.versions[0]!);
  return { list: `${root}/namespaces/${shop}/${entry.plural}`, apiVersion: root.replace(/^\/apis?\//, '') };
}

/** Starts the controller with the token of its service account. */
async function start(context: TestContext) {
  const auth = {
    issuer: '',
    jwksFile: '',
    audiences: ['ambient-controller'],
    nodeAccounts: [`${system}/ambient-node`],
  };
  const token = await tokenOf('ambient-controller', null);
  const change = { source: 'kubernetes', sources: [], systemNamespace: system, caSecret: 'ambient-ca', auth } as const;
  const parts = prepared(context, change, (files) => {
    const ca =
      target.caPem === undefined ? {} : { 'certificate-authority-data': Buffer.from(target.caPem).toString('base64') };
    const cluster = { server: target.url, ...(target.caPem === undefined ? { 'insecure-skip-tls-verify': true } : ca) };
    const config = {
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user: { token } }],
    };
    writeFileSync(files.file('kubeconfig'), JSON.stringify(config));
  });
  const controller = await parts.start();
  context.after(() => controller.close());
  return { ...parts, controller };
}

/** About what is of this test, or of no namespace: another installation's objects are not for its role. */
const isOurs = (line: string): boolean =>
  line.replaceAll(`serviceaccount:${system}`, '').includes(unique) || line.includes('at the cluster scope');

const conditionsOf = ({ status = {} }: Json): string[] =>
  [...(status.conditions ?? []), ...(status.parents ?? []).flatMap((one: Json) => one.conditions)]
    .filter((one: Json) => one.message !== 'Waiting for controller')
    .map((one: Json) => one.type);

test('everything that a controller does is allowed, and every status is taken', timeout, async (context) => {
  for (const name of [system, shop]) {
    await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  for (const name of ['ambient-controller', 'ambient-node'])
    await make(inNamespace(system, 'serviceaccounts'), account(name));
  await make(inNamespace(shop, 'serviceaccounts'), account('web'));
  await grant();
  const { controller, lines, rootsFile } = await start(context);
  for (const name of ['pay', 'rpc']) {
    const spec = { ports: [{ name: 'http', port: 80 }], selector: { app: name } };
    await make(inNamespace(shop, 'services'), { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });
  }
  for (const [kind, spec] of Object.entries(objects)) {
    const { list, apiVersion } = listOf(kind);
    await make(list, { apiVersion, kind, metadata: { name: 'it', namespace: shop }, spec });
  }
  const isRefused = (): string =>
    lines.filter((line) => /\b40[13]\b|forbidden|422/i.test(line) && isOurs(line)).join('');
  for (const kind of Object.keys(objects).filter((one) => !silent.includes(one))) {
    await eventually(async () => {
      const found = ok(await api.get(`${listOf(kind).list}/it`));
      assert.ok(conditionsOf(found).length > 0, `no condition of ${kind}: ${isRefused()}`);
    });
  }
  assert.deepEqual(
    controller.status().sources.filter((one) => !one.ok || one.note !== undefined),
    [],
  );
  ok(await api.get(`${inNamespace(system, 'secrets')}/ambient-ca`));
  const lease = `/apis/coordination.k8s.io/v1/namespaces/${system}/leases/ambient-controller`;
  assert.notEqual(ok(await api.get(lease)).spec.holderIdentity, '');

  // Who calls is asked of the API server.
  const proxy = await runPod(system, 'proxy', 'node-a', 'ambient-node');
  await runPod(shop, 'web', 'node-a', 'web');
  await soon(() => controller.compiler.pod(shop, 'web') !== null, 'the pods are known', 2_000);
  const url = `https://127.0.0.1:${controller.addresses.discovery.port}`;
  const channel = await openChannel(url, readFileSync(rootsFile, 'utf8'));
  context.after(() => channel.close());
  const service = createClient(IstioCertificateService, channel.transport);
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ask = async (bearer: string): Promise<string> => {
    const identity = `spiffe://cluster.local/ns/${shop}/sa/web`;
    const request = create(IstioCertificateRequestSchema, {
      csr: createCsr(identity, keys),
      metadata: { ImpersonatedIdentity: identity },
    });
    return service.createCertificate(request, { headers: { authorization: `Bearer ${bearer}` } }).then(
      () => 'issued',
      (error: unknown) => Code[ConnectError.from(error).code],
    );
  };
  const good = await tokenOf('ambient-node', proxy, ['ambient-controller']);
  // Its label, which enrols the pod, comes last: the namespace was not in the mesh.
  ok(
    await api.patch('merge', inNamespace(shop), { metadata: { labels: { 'ambient.mesh/dataplane-mode': 'ambient' } } }),
  );
  await soon(async () => (await ask(good)) === 'issued', 'a certificate', 500);
  assert.equal(await ask(await tokenOf('ambient-node', proxy)), 'Unauthenticated', 'for another audience');
  assert.equal(await ask(await tokenOf('ambient-node', null, ['ambient-controller'])), 'Unauthenticated', 'of no pod');
  ok(await api.delete(`${inNamespace(system, 'pods')}/proxy?gracePeriodSeconds=0`));
  await soon(() => controller.compiler.pod(system, 'proxy') === null, 'the proxy has gone', 2_000);
  assert.equal(await ask(good), 'Unauthenticated', 'of a pod that has gone');
  await controller.close();
  assert.equal(ok(await api.get(lease)).spec.holderIdentity, '', 'given back');
  assert.equal(isRefused(), '');
  const troubles = lines.filter((line) => /cannot|could not/.test(line) && isOurs(line));
  assert.deepEqual(troubles, []);
});
