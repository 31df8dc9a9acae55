// Our own pair: two `ambient-node` processes that capture by nftables, and an `ambient-controller` that feeds them.
//
// The real programs with what users have switched on: STRICT mutual TLS, a policy that names the client, metrics, and
// an access log in a file. One data thread each, as every peer has one.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { jwksOf, signJwt } from '../../src/identity/jwt.ts';
import { eventually, Service } from '../processes.ts';
import { clientAddress, nodeAddresses, serverAddress, type Topology } from '../topology.ts';
import { type PathContext, type RunningPath, type StartPath, serverPort } from './path.ts';

export interface AmbientOptions {
  readonly say: (line: string) => void;
  /** Node's flags for the proxies. */
  readonly nodeFlags: readonly string[];
  /** Takes each process as soon as it runs, so that it is stopped whatever happens next. */
  readonly keep: (service: Service) => void;
}

const root = path.dirname(path.dirname(import.meta.dirname));
const issuer = 'https://bench.invalid';
const keyId = 'bench';
const account = 'ambient-node';
const systemNamespace = 'ambient-system';
const tokenLifetimeS = 3_600;
const readyTimeoutMs = 20_000;
const nodes = ['a', 'b'] as const;
type NodeName = (typeof nodes)[number];

const podCidrs = { a: '10.244.1.0/24', b: '10.244.2.0/24' } as const;
const uids = { a: randomUUID(), b: randomUUID() } as const;

/** Starts controller and node proxies, and waits until both say that they are ready. */
export const startAmbient =
  (options: AmbientOptions): StartPath =>
  async (context): Promise<RunningPath> => {
    const { dir, topology } = context;
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(path.join(dir, 'jwks.json'), JSON.stringify(jwksOf(keys.publicKey, keyId)));
    for (const name of nodes) writeFileSync(tokenFile(dir, name), tokenOf(name, keys.privateKey), { mode: 0o600 });
    mkdirSync(path.join(dir, 'mesh'));
    const list = { apiVersion: 'v1', kind: 'List', items: manifests() };
    writeFileSync(path.join(dir, 'mesh', 'mesh.yaml'), JSON.stringify(list, null, 2));
    const controller = program(context, 'ambient-controller', null, controllerConfig(dir, topology));
    options.keep(controller);
    await eventually('ambient-controller', readyTimeoutMs, [controller], () => isReady('127.0.0.1'));
    const proxies = nodes.map((name, at) => {
      const netns = name === 'a' ? topology.nodeA : topology.nodeB;
      const config = nodeConfig(dir, name, topology.controlAddresses[at] as string);
      const service = program(context, `ambient-node-${name}`, netns, config, options.nodeFlags);
      options.keep(service);
      return service;
    });
    for (const control of topology.controlAddresses) {
      await eventually('ambient-node', readyTimeoutMs, proxies, () => isReady(control.replace(/1$/, '2')));
    }
    return {
      name: 'ambient',
      topology,
      origin: `http://${serverAddress}:${serverPort}`,
      proxies,
      services: [controller, ...proxies],
    };
  };

function program(
  { dir }: PathContext,
  name: string,
  netns: string | null,
  config: unknown,
  nodeFlags: readonly string[] = [],
): Service {
  const file = path.join(dir, `${name}.yaml`);
  writeFileSync(file, JSON.stringify(config, null, 2));
  const script = path.join(root, 'src', 'bin', `${name.replace(/-[ab]$/, '')}.ts`);
  const words = [process.execPath, ...nodeFlags, script, '--config', file];
  return new Service({ name, netns, words, logFile: path.join(dir, `${name}.log`) });
}

async function isReady(host: string): Promise<void> {
  const response = await fetch(`http://${host}:15021/healthz/ready`, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new TypeError(`not ready: ${(await response.text()).trim()}`);
}

// === Configuration ===

function controllerConfig(dir: string, topology: Topology): unknown {
  return {
    sources: [path.join(dir, 'mesh')],
    caDir: path.join(dir, 'ca'),
    serverNames: [...topology.controlAddresses],
    rootsFile: path.join(dir, 'roots.pem'),
    auth: { issuer, jwksFile: path.join(dir, 'jwks.json') },
    log: { format: 'text' },
  };
}

function nodeConfig(dir: string, name: NodeName, controlAddress: string): unknown {
  return {
    nodeName: nodeName(name),
    controllerUrl: `https://${controlAddress}:15012`,
    controllerRootsFile: path.join(dir, 'roots.pem'),
    tokenFile: tokenFile(dir, name),
    stateDir: path.join(dir, `state-${name}`),
    threads: 1,
    podCidrs: [podCidrs[name]],
    meshCidrs: Object.values(podCidrs),
    log: { format: 'text', access: 'on', accessFile: path.join(dir, `access-${name}.log`) },
  };
}

function tokenFile(dir: string, name: NodeName): string {
  return path.join(dir, `token-${name}`);
}

function nodeName(name: NodeName): string {
  return `bench-${name}`;
}

/** A bound service-account token as the kubelet would project it into the proxy's pod. */
function tokenOf(name: NodeName, privateKey: Parameters<typeof signJwt>[1]): string {
  const nowS = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    aud: ['ambient-controller'],
    sub: `system:serviceaccount:${systemNamespace}:${account}`,
    iat: nowS,
    exp: nowS + tokenLifetimeS,
    'kubernetes.io': {
      namespace: systemNamespace,
      serviceaccount: { name: account, uid: 'account' },
      pod: { name: `${account}-${nodeName(name)}`, uid: uids[name] },
      node: { name: nodeName(name), uid: nodeName(name) },
    },
  };
  return signJwt(claims, privateKey, keyId);
}

// === The mesh ===

function manifests(): unknown[] {
  const namespace = 'bench';
  return [
    ...nodes.map(node),
    named('v1', 'Namespace', '', systemNamespace),
    named('v1', 'Namespace', '', namespace, { labels: { 'ambient.mesh/dataplane-mode': 'ambient' } }),
    named('v1', 'ServiceAccount', systemNamespace, account),
    ...['client', 'server'].map((name) => named('v1', 'ServiceAccount', namespace, name)),
    ...nodes.map((name) => ({
      ...named('v1', 'Pod', systemNamespace, `${account}-${nodeName(name)}`, { uid: uids[name] }),
      spec: { nodeName: nodeName(name), hostNetwork: true, serviceAccountName: account, containers: containers() },
      status: running(nodeAddresses[name]),
    })),
    pod(namespace, 'client', 'a', clientAddress),
    pod(namespace, 'server', 'b', serverAddress),
    {
      ...named('security.istio.io/v1', 'PeerAuthentication', systemNamespace, 'default'),
      spec: { mtls: { mode: 'STRICT' } },
    },
    {
      ...named('security.istio.io/v1', 'AuthorizationPolicy', namespace, 'client-only'),
      spec: {
        selector: { matchLabels: { app: 'server' } },
        action: 'ALLOW',
        rules: [
          {
            from: [{ source: { principals: [`cluster.local/ns/${namespace}/sa/client`] } }],
            to: [{ operation: { ports: [String(serverPort)] } }],
          },
        ],
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

function pod(namespace: string, name: string, on: NodeName, address: string): unknown {
  return {
    ...named('v1', 'Pod', namespace, name, { uid: randomUUID(), labels: { app: name } }),
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
