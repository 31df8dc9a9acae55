// The controller of the bench's mesh, which our own pair follows, and a real ztunnel when there is one.
//
// The real program with what users have switched on: STRICT mutual TLS and a policy of 100 rules for the server pod.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { jwksOf, signJwt } from '../../src/identity/jwt.ts';
import { eventually, Service } from '../processes.ts';
import { clientAddress, nodeAddresses, serverAddress } from '../topology.ts';
import { serverPort } from './path.ts';

const root = path.dirname(path.dirname(import.meta.dirname));
const issuer = 'https://bench.invalid';
const keyId = 'bench';
const account = 'ambient-node';
const systemNamespace = 'ambient-system';
const tokenLifetimeS = 3_600;
const readyTimeoutMs = 60_000;
/** Of the policy that admits the client. */
const rules = 100;
/** The nodes of the mesh, in the order of `Topology.controlAddresses`. */
export const nodes = ['a', 'b'] as const;
export type NodeName = (typeof nodes)[number];

export const podCidrs = { a: '10.244.1.0/24', b: '10.244.2.0/24' } as const;
const uids = { a: randomUUID(), b: randomUUID() } as const;
/** The namespace of both pods, and what they are called in it; their service accounts have the same names. */
export const podNamespace = 'bench';
export const podNames = { a: 'client', b: 'server' } as const;

export interface ControlPlane {
  /** What its certificate leads to. */
  readonly rootsFile: string;
  /** Of the node's proxy, as the kubelet would project it. */
  readonly tokenFiles: Readonly<Record<NodeName, string>>;
  /** Writes the token of another pod of the mesh into `file`. */
  readonly writeToken: (file: string, pod: BoundPod) => void;
}

/** What a token is bound to. */
export interface BoundPod {
  readonly namespace: string;
  readonly account: string;
  readonly name: string;
  readonly uid: string;
  readonly node: NodeName;
}

export interface ControlPlaneOptions {
  readonly dir: string;
  /** Addresses by which proxies will call it. */
  readonly serverNames: readonly string[];
  /** Takes the process as soon as it runs, so that it is stopped whatever happens next. */
  readonly keep: (service: Service) => void;
  /** Objects beside the two nodes and their pods. */
  readonly objects?: readonly unknown[];
  /** The account in `podNamespace` that the server pod admits; the client's unless given. */
  readonly admitted?: string;
  /** Ports at which it does; `serverPort` unless given. */
  readonly admittedPorts?: readonly number[];
}

/** Starts the controller in the run's own namespace, and waits until it is ready. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dir, serverNames, keep, objects = [] } = options;
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(path.join(dir, 'jwks.json'), JSON.stringify(jwksOf(keys.publicKey, keyId)));
  const tokenFiles = { a: path.join(dir, 'token-a'), b: path.join(dir, 'token-b') };
  const writeToken = (file: string, pod: BoundPod): void =>
    writeFileSync(file, tokenOf(pod, keys.privateKey), { mode: 0o600 });
  for (const name of nodes) writeToken(tokenFiles[name], proxyPod(name));
  mkdirSync(path.join(dir, 'mesh'));
  const list = { apiVersion: 'v1', kind: 'List', items: [...manifests(options), ...objects] };
  writeFileSync(path.join(dir, 'mesh', 'mesh.yaml'), JSON.stringify(list, null, 2));
  const rootsFile = path.join(dir, 'roots.pem');
  const config = {
    sources: [path.join(dir, 'mesh')],
    caDir: path.join(dir, 'ca'),
    serverNames,
    rootsFile,
    auth: { issuer, jwksFile: path.join(dir, 'jwks.json') },
    log: { format: 'text' },
  };
  const controller = startProgram({ dir, name: 'ambient-controller', netns: null, config });
  keep(controller);
  await eventually('ambient-controller', readyTimeoutMs, [controller], () => isReady('127.0.0.1'));
  return { rootsFile, tokenFiles, writeToken };
}

export interface ProgramOptions {
  readonly dir: string;
  /** Of the program, and of its files; what follows a `@` tells several of one program apart. */
  readonly name: string;
  readonly netns: string | null;
  readonly config: unknown;
  readonly nodeFlags?: readonly string[];
}

/** Starts one of our own programs with `config` as its configuration file. */
export function startProgram({ dir, name, netns, config, nodeFlags = [] }: ProgramOptions): Service {
  const file = path.join(dir, `${name}.yaml`);
  writeFileSync(file, JSON.stringify(config, null, 2));
  const script = path.join(root, 'src', 'bin', `${name.split('@')[0]}.ts`);
  const words = [process.execPath, ...nodeFlags, script, '--config', file];
  return new Service({ name, netns, words, logFile: path.join(dir, `${name}.log`) });
}

/** Asks the readiness port of `host`, which every program of a mesh has. Throws TypeError with what is pending. */
export async function isReady(host: string): Promise<void> {
  const response = await fetch(`http://${host}:15021/healthz/ready`, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new TypeError(`not ready: ${(await response.text()).trim()}`);
}

/** As the mesh knows it. */
export function nodeName(name: NodeName): string {
  return `bench-${name}`;
}

function proxyPod(node: NodeName): BoundPod {
  return { namespace: systemNamespace, account, name: `${account}-${nodeName(node)}`, uid: uids[node], node };
}

/** A bound service-account token as the kubelet would project it into the pod. */
function tokenOf({ namespace, account, name, uid, node }: BoundPod, key: Parameters<typeof signJwt>[1]): string {
  const nowS = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    aud: ['ambient-controller'],
    sub: `system:serviceaccount:${namespace}:${account}`,
    iat: nowS,
    exp: nowS + tokenLifetimeS,
    'kubernetes.io': {
      namespace,
      serviceaccount: { name: account, uid: 'account' },
      pod: { name, uid },
      node: { name: nodeName(node), uid: nodeName(node) },
    },
  };
  return signJwt(claims, key, keyId);
}

// === The mesh ===

function manifests(options: ControlPlaneOptions): unknown[] {
  const { admitted = podNames.a, admittedPorts = [serverPort] } = options;
  return [
    ...nodes.map(node),
    named('v1', 'Namespace', '', systemNamespace),
    named('v1', 'Namespace', '', podNamespace, { labels: { 'ambient.mesh/dataplane-mode': 'ambient' } }),
    named('v1', 'ServiceAccount', systemNamespace, account),
    ...Object.values(podNames).map((name) => named('v1', 'ServiceAccount', podNamespace, name)),
    ...nodes.map((name) => ({
      ...named('v1', 'Pod', systemNamespace, proxyPod(name).name, { uid: uids[name] }),
      spec: { nodeName: nodeName(name), hostNetwork: true, serviceAccountName: account, containers: containers() },
      status: running(nodeAddresses[name]),
    })),
    podOf({ on: 'a', name: podNames.a, address: clientAddress }),
    podOf({ on: 'b', name: podNames.b, address: serverAddress }),
    {
      ...named('security.istio.io/v1', 'PeerAuthentication', systemNamespace, 'default'),
      spec: { mtls: { mode: 'STRICT' } },
    },
    {
      ...named('security.istio.io/v1', 'AuthorizationPolicy', podNamespace, 'client-only'),
      spec: {
        selector: { matchLabels: { app: podNames.b } },
        action: 'ALLOW',
        // The one that matches is the last: every connection is held against all.
        rules: Array.from({ length: rules }, (_, at) => {
          const account = at === rules - 1 ? admitted : `other-${at}`;
          return {
            from: [{ source: { principals: [`cluster.local/ns/${podNamespace}/sa/${account}`] } }],
            to: [{ operation: { ports: admittedPorts.map(String) } }],
          };
        }),
      },
    },
  ];
}

function node(name: NodeName): unknown {
  return {
    ...named('v1', 'Node', '', nodeName(name)),
    spec: { podCIDR: podCidrs[name], podCIDRs: [podCidrs[name]] },
    status: { addresses: [{ type: 'InternalIP', address: nodeAddresses[name] }] },
  };
}

export interface PodOptions {
  readonly on: NodeName;
  readonly name: string;
  readonly address: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A pod of `podNamespace` that is ready; its account has its name. */
export function podOf({ on, name, address, uid = randomUUID(), labels = {} }: PodOptions): unknown {
  return {
    ...named('v1', 'Pod', podNamespace, name, { uid, labels: { app: name, ...labels } }),
    spec: { nodeName: nodeName(on), serviceAccountName: name, containers: containers() },
    status: running(address),
  };
}

function named(apiVersion: string, kind: string, namespace: string, name: string, more: object = {}): object {
  return { apiVersion, kind, metadata: { name, ...(namespace !== '' && { namespace }), ...more } };
}

function containers(): unknown[] {
  return [{ name: 'main', image: 'bench' }];
}

function running(address: string): unknown {
  return {
    phase: 'Running',
    podIP: address,
    podIPs: [{ ip: address }],
    conditions: [{ type: 'Ready', status: 'True' }],
  };
}
