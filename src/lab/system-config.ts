// The files that the mesh's programs start from in the lab: their configuration, the authority, keys of the token
// issuer.
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadOrCreateIssuer } from '../identity/issuer-files.ts';
import { fabricAddresses, type NodePlan, serviceCidrs } from './addresses.ts';
import { issuerName } from './issuer.ts';
import { hasIpv6 } from './network.ts';
import { paths } from './private-files.ts';

export const trustDomain = 'cluster.local';
export const clusterId = 'Kubernetes';
export const clusterDomain = 'cluster.local';
export const systemNamespace = 'ambient-system';
export const nodeAccount = 'ambient-node';
export const tokenAudience = 'ambient-controller';
export const ports = { discovery: 15012, admin: 15000, readiness: 15021 } as const;

export const systemFiles = {
  controllerConfig: path.join(paths.system, 'controller', 'config.yaml'),
  caDir: path.join(paths.system, 'controller', 'ca'),
  jwks: path.join(paths.system, 'controller', 'jwks.json'),
  /** In a folder of its own, which the controller writes and everybody else reads. */
  roots: path.join(paths.system, 'roots', 'roots.pem'),
  /** What Node has compiled of the sources. */
  compiled: path.join(paths.system, 'compiled'),
  controllerLog: path.join(paths.logs, 'controller.log'),
} as const;

type Settings = Readonly<Record<string, unknown>>;

/** The files of one node's proxy. */
export function nodeFiles(nodeName: string) {
  const dir = path.join(paths.system, 'nodes', nodeName);
  return {
    dir,
    config: path.join(dir, 'config.yaml'),
    token: path.join(dir, 'token'),
    stateDir: path.join(dir, 'state'),
    log: path.join(paths.logs, `node-${nodeName}.log`),
    accessLog: path.join(paths.logs, `node-${nodeName}.access.log`),
  };
}

/** Makes the root and the controller's configuration. Throws `CONFIG_INVALID` for settings that do not fit. */
export function writeControllerFiles(overrides: Settings, nowMs: number): void {
  mkdirSync(systemFiles.caDir, { recursive: true, mode: 0o700 });
  mkdirSync(path.dirname(systemFiles.roots), { recursive: true });
  // Made here instead of by the controller, so that proxies and pods can start while it still does.
  const { roots } = loadOrCreateIssuer(systemFiles.caDir, trustDomain, nowMs);
  writeFileSync(systemFiles.roots, roots.map((root) => root.toString()).join(''));
  const config = {
    sources: [paths.objects],
    trustDomain,
    clusterId,
    clusterDomain,
    systemNamespace,
    caDir: systemFiles.caDir,
    serverNames: [...fabricAddresses, `ambient-controller.${systemNamespace}.svc`, 'localhost', '127.0.0.1'],
    rootsFile: systemFiles.roots,
    auth: {
      issuer: issuerName,
      jwksFile: systemFiles.jwks,
      nodeAccounts: [`${systemNamespace}/${nodeAccount}`],
    },
    log: { level: 'info', format: 'text' },
  };
  // JSON is YAML.
  writeFileSync(systemFiles.controllerConfig, JSON.stringify(merged(config, overrides), null, 2));
}

/** Gives what is the controller's to the user that it runs as, and lets it read the objects. */
export function giveToController(userId: number): void {
  for (const folder of controllerFolders) giveTo(userId, folder);
  chmodSync(paths.objects, 0o755);
}

/** What the controller writes. */
export const controllerFolders = [path.dirname(systemFiles.controllerConfig), path.dirname(systemFiles.roots)] as const;

function giveTo(userId: number, folder: string): void {
  chownSync(folder, userId, userId);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) giveTo(userId, file);
    else chownSync(file, userId, userId);
  }
}

/** Writes the configuration of a node's proxy. */
export function writeNodeFiles(node: NodePlan, overrides: Settings): void {
  const files = nodeFiles(node.name);
  mkdirSync(files.stateDir, { recursive: true, mode: 0o700 });
  const isUsable = (cidr: string) => hasIpv6() || !cidr.includes(':');
  const config = {
    nodeName: node.name,
    trustDomain,
    clusterId,
    clusterDomain,
    systemNamespace,
    controllerUrl: `https://${fabricAddresses[0]}:${ports.discovery}`,
    controllerRootsFile: systemFiles.roots,
    tokenFile: files.token,
    stateDir: files.stateDir,
    meshCidrs: serviceCidrs.filter(isUsable),
    log: { level: 'info', format: 'text', access: 'on', accessFile: files.accessLog },
  };
  writeFileSync(files.config, JSON.stringify(merged(config, overrides), null, 2));
}

/** Replaces a token file whole. */
export function writeToken(file: string, token: string): void {
  writeFileSync(`${file}.new`, token, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** `base` with the fields of `overrides`, objects field by field. */
export function merged(base: Settings, overrides: Settings): Settings {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overrides)) {
    const before = result[key];
    result[key] = isSettings(before) && isSettings(value) ? merged(before, value) : value;
  }
  return result;
}

function isSettings(value: unknown): value is Settings {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
