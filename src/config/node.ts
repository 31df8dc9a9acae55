// The configuration of a node proxy: one frozen object, read once at start.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../base/errors.ts';
import { logLevels } from './log-levels.ts';
import {
  boolean,
  cidr,
  durationMs,
  type Field,
  integer,
  list,
  object,
  oneOf,
  port,
  readConfig,
  string,
} from './schema.ts';
import { type TracingConfig, tracingShape } from './tracing.ts';
import { placedError, readYaml } from './yaml.ts';

/** What is over a limit is refused with the flag OVERLOAD; what runs is not touched. */
export interface NodeLimits {
  /** Connections of all data threads. */
  readonly connectionsMax: number;
  /** Connections that one pod of this node has made, and those that it has been sent: each so many. */
  readonly connectionsPerPodMax: number;
  /** Descriptors that connections may use, at most what RLIMIT_NOFILE leaves. */
  readonly descriptorsMax: number;
  /** Connections of one data thread that wait for news of a pod, and those that wait for a certificate. */
  readonly heldConnectionsMax: number;
  /** TLS handshakes under way on one data thread's tunnel port, in all and with one address. */
  readonly handshakesMax: number;
  readonly handshakesPerSourceMax: number;
  /** Tunnel sessions of one data thread: accepted from other proxies, and opened to them. */
  readonly acceptedSessionsMax: number;
  readonly openedSessionsMax: number;
  /** Streams on one session that this proxy opened, and on one that it accepted. */
  readonly streamsPerSession: number;
  readonly acceptedStreamsPerSession: number;
  /** Bytes that a tunnelled connection may hold whose reader stalls; counts for new sessions. */
  readonly streamBufferBytes: number;
  /** Bytes that all tunnelled connections of one data thread may hold: above it the one that holds most is reset. */
  readonly bufferedBytesMax: number;
  /** Endpoints that a connection tries. */
  readonly endpointAttempts: number;
  /** Recent connections and requests that each data thread remembers, for `ambientctl tap`; 0: none. */
  readonly flowsMax: number;
  /** Above so many of them in a second, and as many that failed, only a sample is remembered. */
  readonly flowsPerSecond: number;
}

export interface NodeConfig {
  /** Default: the variable NODE_NAME. */
  readonly nodeName: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly systemNamespace: string;
  /** `https://HOST:15012`; '' runs from the state on disk only. */
  readonly controllerUrl: string;
  /** PEM file with the roots that verify the controller. */
  readonly controllerRootsFile: string;
  /** Bearer token file, read again for each call. */
  readonly tokenFile: string;
  /** Where the last good state is kept; '' keeps none. Keys are kept in it only if it is memory-backed. */
  readonly stateDir: string;
  /** Data threads; 0 means the CPUs available to the process. */
  readonly threads: number;
  /**
   * Pod addresses of this node, `ADDRESS/LENGTH`; traffic from them is captured or held. Empty: they are found, by what
   * the controller knows and what the node's links and routes show.
   */
  readonly podCidrs: readonly string[];
  /**
   * Addresses of the mesh besides the pods' of all nodes, such as the services'; one that is not known is held, and
   * refused if it stays so.
   */
  readonly meshCidrs: readonly string[];
  readonly capture: {
    /** Where pods are captured: in the node's network, or in each pod's own; `none` captures nothing. */
    readonly backend: 'host' | 'pod' | 'none';
    readonly failOpen: boolean;
    /** With `pod`: the folder where the container runtime keeps the network namespaces of pods. */
    readonly namespaces: string;
  };
  readonly ports: {
    readonly outbound: number;
    readonly inbound: number;
    readonly hbone: number;
    readonly admin: number;
    readonly metrics: number;
    readonly readiness: number;
  };
  readonly sameNode: 'direct' | 'tunnel';
  /**
   * Applications see the address of the client pod as their peer: `auto` where a test at start proves that it works,
   * `on` refuses to become ready without it, `off` shows them the node's address.
   */
  readonly keepClientAddress: 'auto' | 'on' | 'off';
  readonly log: {
    readonly level: string;
    readonly format: 'json' | 'text';
    readonly access: 'on' | 'off';
    /** '' is standard output. */
    readonly accessFile: string;
  };
  readonly tracing: TracingConfig;
  readonly certificateTtlMs: number;
  readonly timeouts: {
    readonly connectMs: number;
    readonly holdUnknownPodMs: number;
    readonly halfCloseMs: number;
    readonly idleMs: number;
    readonly drainMs: number;
    /** From accept on the tunnel port to the end of the TLS handshake. */
    readonly handshakeMs: number;
  };
  readonly limits: NodeLimits;
}

/** The levels of the log, most talkative first. */

const threadsMax = 256;
const many = 1_000_000;
const streamBufferMax = 64 * 1024 * 1024;
const bufferedMax = 64 * 1024 * 1024 * 1024;
const name = {
  pattern: /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/,
  what: 'a name of letters, digits, . _ and -',
};
const url = { pattern: /^(https:\/\/[^/\s]+)?$/, what: 'an https:// address without a path, or empty' };
const count = (fallback: number): Field<number> => integer({ min: 1, max: many }, fallback);

/** The fields of the file; those that waypoints have too are theirs from here. */
export const nodeShape = {
  nodeName: string('', { ...name, pattern: /^([A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)?$/ }),
  trustDomain: string('cluster.local', name),
  clusterId: string('Kubernetes', name),
  clusterDomain: string('cluster.local', name),
  systemNamespace: string('ambient-system', name),
  controllerUrl: string('', url),
  controllerRootsFile: string('/var/run/secrets/ambient/roots.pem'),
  tokenFile: string('/var/run/secrets/tokens/ambient-token'),
  stateDir: string('/run/ambient/node'),
  threads: integer({ min: 0, max: threadsMax }, 0),
  podCidrs: list(cidr(), []),
  meshCidrs: list(cidr(), []),
  capture: object({
    backend: oneOf(['host', 'pod', 'none'], 'host'),
    failOpen: boolean(false),
    namespaces: string('/run/netns'),
  }),
  ports: object({
    outbound: port(15001),
    inbound: port(15006),
    hbone: port(15008),
    admin: port(15000),
    metrics: port(15020),
    readiness: port(15021),
  }),
  sameNode: oneOf(['direct', 'tunnel'], 'direct'),
  keepClientAddress: oneOf(['auto', 'on', 'off'], 'auto'),
  log: object({
    level: oneOf(logLevels, 'info'),
    format: oneOf(['json', 'text'], 'json'),
    access: oneOf(['on', 'off'], 'on'),
    accessFile: string(''),
  }),
  tracing: tracingShape,
  certificateTtlMs: durationMs(24 * 3_600_000),
  timeouts: object({
    connectMs: durationMs(10_000),
    holdUnknownPodMs: durationMs(5_000),
    halfCloseMs: durationMs(300_000),
    idleMs: durationMs(3_600_000),
    drainMs: durationMs(25_000),
    handshakeMs: durationMs(10_000),
  }),
  limits: object({
    connectionsMax: count(100_000),
    connectionsPerPodMax: count(10_000),
    descriptorsMax: count(many),
    heldConnectionsMax: count(1_000),
    handshakesMax: count(1_024),
    handshakesPerSourceMax: count(128),
    acceptedSessionsMax: count(16_384),
    openedSessionsMax: count(4_096),
    streamsPerSession: count(100),
    acceptedStreamsPerSession: count(256),
    streamBufferBytes: integer({ min: 65_535, max: streamBufferMax }, 4 * 1024 * 1024),
    bufferedBytesMax: integer({ min: 1024 * 1024, max: bufferedMax }, 64 * 1024 * 1024),
    endpointAttempts: count(3),
    flowsMax: integer({ min: 0, max: many }, 2_048),
    flowsPerSecond: count(200),
  }),
};

/**
 * Reads the YAML file of a node proxy; what it leaves out has its default.
 * @throws MeshError INPUT_UNREADABLE when it is not there or no YAML, CONFIG_INVALID with `file:line:column` for a
 * wrong value.
 */
export function readNodeConfig(file: string): NodeConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
  return parseNodeConfig(text, file, process.env);
}

/** As `readNodeConfig`, from a text; `file` is for the error. */
export function parseNodeConfig(text: string, file: string, env: NodeJS.ProcessEnv = {}): NodeConfig {
  const read = readConfig(text, file, nodeShape);
  const config: NodeConfig = Object.freeze({ ...read, nodeName: read.nodeName || (env.NODE_NAME ?? '') });
  const complain = (path: readonly string[], reason: string): never => {
    const [document] = readYaml(text, file);
    throw placedError('CONFIG_INVALID', document?.place(path) ?? { file, line: 1, column: 1 }, reason);
  };
  if (config.nodeName === '') complain([], 'nodeName must be given, here or in the variable NODE_NAME');
  if (config.controllerUrl === '' && config.stateDir === '') {
    complain(
      ['controllerUrl'],
      'controllerUrl must be given when stateDir is empty: there is no mesh to serve otherwise',
    );
  }
  return config;
}
