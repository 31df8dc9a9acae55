// For tests: the whole controller in this process, over loopback TLS: manifests in a folder, tokens of an issuer of our
// own, and node proxies that call it with the clients that real node proxies use.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '../base/clock.ts';
import type { ControllerConfig } from '../config/controller.ts';
import { CertificateClient } from '../discovery/certificate-client.ts';
import { DiscoveryClient } from '../discovery/delta-client.ts';
import { CertificateManager } from '../identity/certificate-manager.ts';
import { jwksOf, signJwt } from '../identity/jwt.ts';
import type { MeshUpdate, Workload } from '../model/types.ts';
import { createLogger } from '../telemetry/logger.ts';
import { type RunningController, startController } from './controller.ts';

export const issuer = 'https://lab.ambient';
export const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const timeout = { timeout: 20_000 };
export const web = 'spiffe://cluster.local/ns/shop/sa/web';
export const cart = 'spiffe://cluster.local/ns/shop/sa/cart';

/** A running, ready pod as JSON text; its uid is `uid-NAME`. */
export function podManifest(namespace: string, name: string, node: string, account: string, ip: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, uid: `uid-${name}`, labels: { app: name } },
    spec: { nodeName: node, serviceAccountName: account, containers: [{ name: 'c', image: 'ambient/echo' }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

export const namespaceManifest = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'ambient.mesh/dataplane-mode': 'ambient' } },
});

export type Put = (name: string, text: string) => void;

/** A controller that has not been started, with its folder of manifests and its log lines. */
export function prepared(
  context: TestContext,
  change: Partial<ControllerConfig> = {},
  prepare: (files: { readonly put: Put; readonly file: (name: string) => string }) => void = () => {},
) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-controller-'));
  const file = (name: string): string => path.join(dir, name);
  const manifests = file('manifests');
  mkdirSync(manifests);
  const put: Put = (name, text) => writeFileSync(path.join(manifests, name), text);
  put('ns.json', namespaceManifest);
  put('web.json', podManifest('shop', 'web', 'a', 'web', '10.244.1.7'));
  put('cart.json', podManifest('shop', 'cart', 'b', 'cart', '10.244.2.7'));
  put('proxy-a.json', podManifest('ambient-system', 'proxy-a', 'a', 'ambient-node', '10.80.0.11'));
  put('proxy-b.json', podManifest('ambient-system', 'proxy-b', 'b', 'ambient-node', '10.80.0.12'));
  prepare({ put, file });
  writeFileSync(file('jwks.json'), JSON.stringify(jwksOf(keys.publicKey, 'k')));
  const config: ControllerConfig = {
    listenHost: '127.0.0.1',
    ports: { discovery: 0, admin: 0, metrics: 0, readiness: 0, webhook: 0, page: 0 },
    source: 'folders',
    sources: [manifests],
    kubernetes: { kubeconfig: file('kubeconfig'), context: '', writes: true },
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    systemNamespace: 'ambient-system',
    caDir: file('ca'),
    caSecret: '',
    serverNames: ['127.0.0.1'],
    rootsFile: file('roots.pem'),
    auth: {
      issuer,
      jwksFile: file('jwks.json'),
      audiences: ['ambient-controller', 'istio-ca'],
      nodeAccounts: ['ambient-system/ambient-node'],
    },
    replicas: { account: '', tokenFile: '' },
    waypoints: {
      image: '',
      pullPolicy: 'IfNotPresent',
      pullSecrets: [],
      resources: { cpu: '', memory: '', memoryLimit: '' },
      config: {},
    },
    webhook: { configuration: '' },
    page: {
      enabled: true,
      host: '127.0.0.1',
      names: [],
      passwordFile: '',
      tokenFile: '',
      tls: 'off',
      certificateFile: '',
      keyFile: '',
    },
    certificateTtlMs: 3_600_000,
    certificateTtlMaxMs: 86_400_000,
    log: { level: 'info', format: 'text' },
    ...change,
  };
  const lines: string[] = [];
  const start = (clock: Clock = systemClock): Promise<RunningController> =>
    startController(config, { clock, log: createLogger({ ...config.log, write: (line) => lines.push(line) }) });
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  return { config, start, file, put, manifests, lines, rootsFile: config.rootsFile };
}

/** A controller that runs until the test ends, with what `prepared` has and its address. */
export async function setUp(
  context: TestContext,
  change: Partial<ControllerConfig> = {},
  prepare: Parameters<typeof prepared>[2] = () => {},
  clock: Clock = systemClock,
) {
  const parts = prepared(context, change, prepare);
  const controller = await parts.start(clock);
  context.after(() => controller.close());
  const url = `https://127.0.0.1:${controller.addresses.discovery.port}`;
  return { ...parts, controller, url };
}

export type Fixture = Awaited<ReturnType<typeof setUp>>;

/** The token of node proxy `pod` on `node`, valid for ten minutes; `change` replaces claims. */
export function token(pod = 'proxy-a', node = 'a', change: Readonly<Record<string, unknown>> = {}): string {
  const claims = {
    iss: issuer,
    aud: ['ambient-controller'],
    sub: 'system:serviceaccount:ambient-system:ambient-node',
    exp: Math.floor(Date.now() / 1000) + 600,
    'kubernetes.io': {
      namespace: 'ambient-system',
      serviceaccount: { name: 'ambient-node', uid: 'uid-account' },
      pod: { name: pod, uid: `uid-${pod}` },
      node: { name: node, uid: `uid-${node}` },
    },
    ...change,
  };
  return signJwt(claims, keys.privateKey, 'k');
}

/** A discovery client of a node proxy that keeps what it was told in `workloads`. */
export function discoveryClient(context: TestContext, fixture: Fixture, nodeName = 'a', pod = 'proxy-a') {
  const tokenFile = fixture.file(`token-${pod}`);
  writeFileSync(tokenFile, token(pod, pod.slice(-1)));
  const workloads = new Map<string, Workload>();
  let notify = (): void => {};
  const apply = (update: MeshUpdate): readonly [] => {
    for (const workload of update.workloads) workloads.set(workload.uid, workload);
    for (const name of update.removedAddresses) workloads.delete(name);
    notify();
    return [];
  };
  const node = {
    kind: 'node',
    name: pod,
    namespace: 'ambient-system',
    nodeName,
    addresses: ['10.80.0.11'],
    clusterId: 'Kubernetes',
    version: 'test',
  } as const;
  const { url, rootsFile } = fixture;
  const client = new DiscoveryClient({
    url,
    rootsFile,
    tokenFile,
    node,
    held: {},
    apply,
    clock: systemClock,
    random: Math.random,
  });
  context.after(() => client.close());
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        notify = resolve;
      });
    }
  };
  const synced = once(client, 'synced');
  synced.catch(() => {}); // only those who await it mind
  return { client, synced, workloads, until };
}

/** A certificate manager that asks `fixture` with the token `bearer`. */
export function certificates(context: TestContext, fixture: Fixture, bearer: string) {
  const tokenFile = fixture.file('token-certificates');
  writeFileSync(tokenFile, bearer);
  const { url, rootsFile } = fixture;
  const client = new CertificateClient({ url, rootsFile, tokenFile, clusterId: 'Kubernetes' });
  const manager = new CertificateManager({
    sign: client.sign,
    clock: systemClock,
    random: Math.random,
    ttlMs: 3_600_000,
    identitiesMax: 100,
  });
  context.after(() => {
    manager.close();
    client.close();
  });
  return manager;
}

/** What the admin port answers to `GET what`, as JSON. */
export async function admin<T>(fixture: Fixture, what: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${fixture.controller.addresses.admin}${what}`);
  return (await response.json()) as T;
}

/** Resolves as soon as `condition` holds; fails the test after some seconds without. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  triesMax = 500,
): Promise<void> {
  for (let tries = 0; tries < triesMax; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never happened: ${what}`);
}
