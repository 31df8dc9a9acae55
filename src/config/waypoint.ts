// The configuration of a waypoint: one frozen object, read once at start.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../base/errors.ts';
import { nodeShape } from './node.ts';
import type { ProxyConfig } from './proxy.ts';
import { boolean, durationMs, integer, object, oneOf, port, readConfig, string } from './schema.ts';
import { placedError, readYaml } from './yaml.ts';

export interface WaypointConfig extends ProxyConfig {
  /** Of the Gateway that it was made for. */
  readonly namespace: string;
  readonly name: string;
  /** Whose identity it has; default: the name of the Gateway. */
  readonly serviceAccount: string;
  /** Its own pod and the node of that; default: the variables POD_NAME and NODE_NAME. */
  readonly podName: string;
  readonly nodeName: string;
  /**
   * Data threads. With one, limits and weights are exact; more of them keep theirs each for itself, so that a waypoint
   * grows by replicas.
   */
  readonly threads: number;
  /** Counts requests with `reporter="destination"` too, for what asks for that (Flagger, Argo Rollouts). */
  readonly destinationReporter: boolean;
  /** Of the HTTP path: `HttpLimits`. */
  readonly http: {
    readonly retryBodyBytes: number;
    readonly mirrorBodyBytes: number;
    readonly mirrorsInFlight: number;
    readonly mirrorTimeoutMs: number;
    readonly sniffTimeoutMs: number;
    readonly streamIdleMs: number;
    readonly upstreamIdleMs: number;
    readonly connectTimeoutMs: number;
    readonly http2ConnectionsPerEndpoint: number;
    readonly forwardClientCert: boolean;
    readonly pathNormalization: (typeof pathNormalizations)[number];
  };
}

const threadsMax = 256;
const bodyBytesMax = 64 * 1024 * 1024;
const many = 1_000_000;
const pathNormalizations = ['none', 'base', 'merge-slashes', 'decode-and-merge-slashes'] as const;
const dns = {
  pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
  what: 'a name of lower-case letters, digits, - and .',
};
const nameOrNone = { pattern: /^([A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)?$/, what: 'a name, or empty' };

/** Every field of the file. */
export const waypointShape = {
  namespace: string(undefined, dns),
  name: string(undefined, dns),
  serviceAccount: string('', nameOrNone),
  podName: string('', nameOrNone),
  nodeName: string('', nameOrNone),
  trustDomain: nodeShape.trustDomain,
  clusterId: nodeShape.clusterId,
  controllerUrl: nodeShape.controllerUrl,
  controllerRootsFile: nodeShape.controllerRootsFile,
  tokenFile: nodeShape.tokenFile,
  stateDir: string(''),
  threads: integer({ min: 1, max: threadsMax }, 1),
  destinationReporter: boolean(false),
  http: object({
    retryBodyBytes: integer({ min: 0, max: bodyBytesMax }, 64 * 1024),
    mirrorBodyBytes: integer({ min: 0, max: bodyBytesMax }, 64 * 1024),
    mirrorsInFlight: integer({ min: 0, max: many }, 256),
    mirrorTimeoutMs: durationMs(15_000),
    sniffTimeoutMs: durationMs(200),
    streamIdleMs: durationMs(5 * 60_000),
    upstreamIdleMs: durationMs(60_000),
    connectTimeoutMs: durationMs(10_000),
    http2ConnectionsPerEndpoint: integer({ min: 1, max: many }, 2),
    forwardClientCert: boolean(false),
    pathNormalization: oneOf(pathNormalizations, 'base'),
  }),
  ports: object({ hbone: port(15008), admin: port(15000), metrics: port(15020), readiness: port(15021) }),
  log: nodeShape.log,
  tracing: nodeShape.tracing,
  certificateTtlMs: nodeShape.certificateTtlMs,
  timeouts: nodeShape.timeouts,
  limits: nodeShape.limits,
};

/** Fields that whoever deploys a waypoint chooses, and nobody else. */
export const ownWaypointFields: readonly string[] = [
  'namespace',
  'name',
  'serviceAccount',
  'podName',
  'nodeName',
  'trustDomain',
  'clusterId',
  'controllerUrl',
  'controllerRootsFile',
  'tokenFile',
  'stateDir',
  'ports',
];

/**
 * Reads the YAML file of a waypoint; what it leaves out has its default.
 * @throws MeshError INPUT_UNREADABLE when it is not there or no YAML, CONFIG_INVALID with `file:line:column` for a
 * wrong value.
 */
export function readWaypointConfig(file: string): WaypointConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
  return parseWaypointConfig(text, file, process.env);
}

/** As `readWaypointConfig`, from a text; `file` is for the error. */
export function parseWaypointConfig(text: string, file: string, env: NodeJS.ProcessEnv): WaypointConfig {
  const config = readConfig(text, file, waypointShape);
  if (config.controllerUrl === '' && config.stateDir === '') {
    const reason = 'controllerUrl must be given when stateDir is empty: there is no mesh to serve otherwise';
    const [document] = readYaml(text, file);
    throw placedError('CONFIG_INVALID', document?.place(['controllerUrl']) ?? { file, line: 1, column: 1 }, reason);
  }
  return Object.freeze({
    ...config,
    serviceAccount: config.serviceAccount || config.name,
    podName: config.podName || (env.POD_NAME ?? ''),
    nodeName: config.nodeName || (env.NODE_NAME ?? ''),
  });
}
