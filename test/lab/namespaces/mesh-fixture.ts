// A controller of our own for the tests of the node proxy: manifests in a folder, tokens of an issuer made here.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ControllerConfig } from '../../../src/config/controller.ts';
import { type RunningController, startController } from '../../../src/controller/controller.ts';
import { jwksOf, signJwt } from '../../../src/identity/jwt.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { nodeAddress } from './topology.ts';

const issuer = 'https://test.ambient';
const discoveryPort = 15012;

/** Files of the mesh under one folder, and the controller that reads them. */
export class MeshFixture {
  readonly nodeConfig: string;
  readonly stateDir = '/run/ambient/node';
  readonly #folder: string;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #controller: RunningController | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    this.nodeConfig = path.join(folder, 'node.yaml');
    mkdirSync(path.join(folder, 'manifests'), { recursive: true });
    this.#write('jwks.json', JSON.stringify(jwksOf(this.#keys.publicKey, 'k')));
    this.#write('token', this.#token());
    this.#write('node.yaml', this.#nodeYaml());
    this.put('ns', {
      kind: 'Namespace',
      metadata: { name: 'shop', labels: { 'ambient.mesh/dataplane-mode': 'ambient' } },
    });
    this.putPod('ambient-system', 'proxy', 'ambient-node', [nodeAddress.v4], { hostNetwork: true });
  }

  /** Writes a manifest; the controller sees it by itself. */
  put(name: string, manifest: object): void {
    this.#write(`manifests/${name}.json`, JSON.stringify({ apiVersion: 'v1', ...manifest }));
  }

  putPod(
    namespace: string,
    name: string,
    account: string,
    ips: readonly string[],
    spec: Readonly<Record<string, unknown>> = {},
    labels: Readonly<Record<string, string>> = {},
  ): void {
    const status = {
      phase: 'Running',
      podIP: ips[0],
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: 'True' }],
    };
    const containers = [{ name: 'c', image: 'ambient/echo' }];
    const metadata = { namespace, name, uid: `uid-${name}`, labels: { app: name, ...labels } };
    this.put(name, {
      kind: 'Pod',
      metadata,
      spec: { nodeName: 'n1', serviceAccountName: account, containers, ...spec },
      status,
    });
  }

  async startController(): Promise<void> {
    const file = (name: string): string => path.join(this.#folder, name);
    const config: ControllerConfig = {
      listenHost: '0.0.0.0',
      ports: { discovery: discoveryPort, admin: 0, metrics: 0, readiness: 0, webhook: 0, page: 0 },
      source: 'folders',
      sources: [file('manifests')],
      kubernetes: { kubeconfig: '', context: '', writes: true },
      replicas: { account: '', tokenFile: '' },
      waypoints: {
        image: '',
        pullPolicy: 'IfNotPresent',
        pullSecrets: [],
        resources: { cpu: '', memory: '', memoryLimit: '' },
        config: {},
      },
      trustDomain: 'cluster.local',
      clusterId: 'Kubernetes',
      clusterDomain: 'cluster.local',
      systemNamespace: 'ambient-system',
      caDir: file('ca'),
      caSecret: '',
      serverNames: [nodeAddress.v4],
      rootsFile: file('roots.pem'),
      auth: {
        issuer,
        jwksFile: file('jwks.json'),
        audiences: ['ambient-controller'],
        nodeAccounts: ['ambient-system/ambient-node'],
      },
      page: {
        enabled: false,
        host: '127.0.0.1',
        names: [],
        passwordFile: '',
        tokenFile: '',
        tls: 'off',
        certificateFile: '',
        keyFile: '',
      },
      webhook: { configuration: '' },
      certificateTtlMs: 3_600_000,
      certificateTtlMaxMs: 86_400_000,
      log: { level: 'warn', format: 'text' },
    };
    this.#controller = await startController(config, { log: createLogger(config.log) });
  }

  async stopController(): Promise<void> {
    await this.#controller?.close();
    this.#controller = null;
  }

  #nodeYaml(): string {
    return JSON.stringify({
      nodeName: 'n1',
      controllerUrl: `https://${nodeAddress.v4}:${discoveryPort}`,
      controllerRootsFile: path.join(this.#folder, 'roots.pem'),
      tokenFile: path.join(this.#folder, 'token'),
      stateDir: this.stateDir,
      threads: 2,
      log: { level: 'info', format: 'text', access: 'off' },
      timeouts: { drain: '2s' },
    });
  }

  #token(): string {
    const claims = {
      iss: issuer,
      aud: ['ambient-controller'],
      sub: 'system:serviceaccount:ambient-system:ambient-node',
      exp: Math.floor(Date.now() / 1000) + 600,
      'kubernetes.io': {
        namespace: 'ambient-system',
        serviceaccount: { name: 'ambient-node', uid: 'uid-account' },
        pod: { name: 'proxy', uid: 'uid-proxy' },
        node: { name: 'n1', uid: 'uid-n1' },
      },
    };
    return signJwt(claims, this.#keys.privateKey, 'k');
  }

  #write(name: string, text: string): void {
    writeFileSync(path.join(this.#folder, name), text);
  }
}
