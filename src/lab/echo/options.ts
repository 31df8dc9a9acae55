// What an echo process is told through its environment: its ports, what it calls, and who it is. The names are those
// of ordinary manifests (downward API variables), so that the same file works in the lab and in a cluster. Arguments
// are those of Istio's test application, as far as manifests for it need them (`arguments.ts`).
import { hostname, networkInterfaces } from 'node:os';
import { MeshError, messageOf } from '../../base/errors.ts';
import { echoArguments } from './arguments.ts';
import { durationOf } from './duration.ts';
import { noFaults, readFaults, type SampleFaults } from './sample-faults.ts';

/** How a port behaves: `http` sniffs HTTP/1.1, h2c, gRPC and WebSocket; `https` has TLS around; the others are raw. */
export type PortMode = 'http' | 'https' | 'tcp' | 'tcp-greet' | 'tcp-sink';

export interface EchoPort {
  readonly name: string;
  readonly port: number;
  readonly mode: PortMode;
}

export interface EchoIdentity {
  readonly pod: string;
  readonly namespace: string;
  readonly node: string;
  readonly service: string;
  readonly serviceAccount: string;
  readonly cluster: string;
  readonly version: string;
  readonly ips: readonly string[];
}

export interface EchoOptions {
  readonly ports: readonly EchoPort[];
  readonly identity: EchoIdentity;
  /** What each request for `/` calls. */
  readonly calls: readonly string[];
  /** How often the process makes those calls by itself; 0 is never. */
  readonly callsEveryMs: number;
  /** For so long it goes on serving after it was told to end, as an application that drains does. */
  readonly stopAfterMs: number;
  readonly faults: SampleFaults;
  /** Answers are JSON, or lines `Name=value` as of Istio's test application. */
  readonly answer: 'json' | 'lines';
  /** Files of the TLS ports' certificate and key; '' for one of its own. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string };
}

/** Variables of a process. */
export type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads the options from the environment: `PORTS` (JSON of container ports), `CALLS` (URLs, comma separated,
 * `POST ` before those that charge an order),
 * `CALLS_EVERY` and `STOP_AFTER` (Go durations), `FAIL_ONE_IN`, `FAIL_WHEN` and `DELAY` (`sample-faults.ts`),
 * and the usual `POD_NAME`, `POD_NAMESPACE`, `NODE_NAME`, `POD_IPS`, `SERVICE_NAME`, `SERVICE_ACCOUNT`, `CLUSTER_ID`.
 * Throws CONFIG_INVALID naming the variable or argument.
 */
export function echoOptions(env: Env, args: readonly string[] = []): EchoOptions {
  const given = echoArguments(args);
  return {
    ports: given.ports.length > 0 ? given.ports : parsePorts(env.PORTS),
    answer: given.answer,
    certificate: given.certificate,
    identity: {
      pod: env.POD_NAME || hostname(),
      namespace: env.POD_NAMESPACE || env.NAMESPACE || '',
      node: env.NODE_NAME || '',
      service: env.SERVICE_NAME || '',
      serviceAccount: env.SERVICE_ACCOUNT || '',
      cluster: env.CLUSTER_ID || '',
      version: given.version || env.VERSION || '',
      ips: env.POD_IPS ? splitList(env.POD_IPS) : ownAddresses(),
    },
    calls: splitList(env.CALLS ?? '').map(checkUrl),
    callsEveryMs: env.CALLS_EVERY ? durationOf(env.CALLS_EVERY, 'CALLS_EVERY') : 0,
    stopAfterMs: env.STOP_AFTER ? durationOf(env.STOP_AFTER, 'STOP_AFTER') : 0,
    faults: readFaults((name) => env[name.toUpperCase().replaceAll('-', '_')] || null, noFaults, 'FAIL_ONE_IN, DELAY'),
  };
}

/** Splits a comma-separated list; empty parts vanish. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const usualPort: EchoPort = { name: 'http', port: 8080, mode: 'http' };

function parsePorts(text: string | undefined): EchoPort[] {
  if (!text) return [usualPort];
  const invalid = (reason: string): MeshError => new MeshError('CONFIG_INVALID', { place: 'PORTS', reason });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalid(messageOf(error));
  }
  if (!Array.isArray(parsed)) throw invalid('must be a list of container ports');
  // A manifest need not name the ports that a container listens on.
  if (parsed.length === 0) return [usualPort];
  return parsed
    .filter((entry) => (entry?.protocol ?? 'TCP') === 'TCP')
    .map((entry) => {
      const port: unknown = entry?.containerPort;
      if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535) {
        throw invalid(`containerPort ${String(port)} is no port number`);
      }
      const name = String(entry.name ?? '');
      return { name, port, mode: portMode(name, String(entry.appProtocol ?? '')) };
    });
}

/** The mode by application protocol, then by the port name's prefix, as Kubernetes users write them. */
export function portMode(name: string, appProtocol: string): PortMode {
  if (name.startsWith('tcp-greet')) return 'tcp-greet';
  if (name.startsWith('tcp-sink')) return 'tcp-sink';
  if (appProtocol === 'tcp') return 'tcp';
  if (appProtocol === '' && (name === 'tcp' || name.startsWith('tcp-'))) return 'tcp';
  return 'http';
}

function checkUrl(text: string): string {
  const plain = text.replace(/^POST /, '');
  const url = URL.canParse(plain) ? new URL(plain) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'tcp:')) {
    throw new MeshError('CONFIG_INVALID', { place: 'CALLS', reason: `'${text}' is no http:// or tcp:// URL` });
  }
  return text;
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((entry) => !entry.internal && !entry.address.startsWith('fe80:'))
    .map((entry) => entry.address);
}
