// Envoy as a proxy of HTTP: a listener and its clusters per protocol, in plaintext or with mutual TLS on either side.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { envoyTls, type Place } from '../paths/envoy.ts';
import { Service } from '../processes.ts';
import { type HopRule, requestTimeoutMs, retryAttempts, weights } from './hop.ts';
import { type HopProtocol, protocols } from './tunnel-ends.ts';

const many = 100_000;
const extension = 'type.googleapis.com/envoy.extensions';

/** Where a protocol comes in and goes out. */
export interface EnvoySide {
  readonly listen: Place;
  readonly server: Place;
  /** Of the listener, and towards the server; null for plaintext. */
  readonly tls: { readonly in: CertificateFiles | null; readonly out: CertificateFiles | null };
}

export interface EnvoyHttpOptions {
  readonly binary: string;
  readonly dir: string;
  /** Network namespace; null for the run's own. */
  readonly netns: string | null;
  /** Of its process and its files. */
  readonly name: string;
  /** Envoys of one machine need different ones. */
  readonly baseId: number;
  readonly sides: Readonly<Record<HopProtocol, EnvoySide>>;
  /** The table that requests are matched with; none for one rule without time-out and retries. */
  readonly rules: readonly HopRule[] | null;
}

/** Starts it with one worker thread and no access log. */
export function startEnvoyHttp({ binary, dir, netns, name, baseId, sides, rules }: EnvoyHttpOptions): Service {
  const file = path.join(dir, `${name}.json`);
  writeFileSync(file, JSON.stringify(configOf(sides, rules)), { mode: 0o600 });
  const options = ['--concurrency', '1', '--base-id', String(baseId), '--log-level', 'error', '--disable-hot-restart'];
  const words = [binary, '-c', file, ...options];
  return new Service({ name, netns, words, logFile: path.join(dir, `${name}.log`) });
}

function configOf(sides: EnvoyHttpOptions['sides'], rules: EnvoyHttpOptions['rules']): unknown {
  return {
    static_resources: {
      listeners: protocols.map((protocol) => listenerOf(protocol, sides[protocol], rules)),
      clusters: protocols.flatMap((protocol) =>
        Object.keys(weights).map((name) => clusterOf(protocol, name, sides[protocol])),
      ),
    },
  };
}

function listenerOf(protocol: HopProtocol, { listen, tls }: EnvoySide, rules: EnvoyHttpOptions['rules']): unknown {
  const routes =
    rules?.map((rule) => routeOf(protocol, rule)) ??
    ([{ match: { prefix: '/' }, route: { cluster: `${protocol}-stable`, timeout: '0s' } }] as const);
  const manager = {
    '@type': `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: protocol,
    codec_type: protocol.toUpperCase(),
    generate_request_id: true,
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${extension}.filters.http.router.v3.Router` } },
    ],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
  };
  const secured = tls.in !== null && { transport_socket: envoyTls('DownstreamTlsContext', tls.in, alpnOf(protocol)) };
  return {
    name: protocol,
    address: socketAddress(listen),
    tcp_backlog_size: 4096,
    filter_chains: [
      { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }], ...secured },
    ],
  };
}

function routeOf(protocol: string, rule: HopRule): unknown {
  const { path: wanted, header, method } = rule;
  const matchers = [
    ...(header ? [{ name: header.name, string_match: { [header.kind]: header.value } }] : []),
    ...(method ? [{ name: ':method', string_match: { exact: method } }] : []),
  ];
  const clusters = Object.entries(weights).map(([name, weight]) => ({ name: `${protocol}-${name}`, weight }));
  return {
    match: {
      ...(wanted?.kind === 'exact' ? { path: wanted.value } : { prefix: wanted?.value ?? '/' }),
      ...(matchers.length > 0 && { headers: matchers }),
    },
    route: {
      weighted_clusters: { clusters },
      timeout: `${requestTimeoutMs / 1_000}s`,
      retry_policy: { retry_on: 'connect-failure,refused-stream,unavailable,cancelled', num_retries: retryAttempts },
    },
  };
}

function alpnOf(protocol: HopProtocol): string {
  return protocol === 'http1' ? 'http/1.1' : 'h2';
}

function clusterOf(protocol: HopProtocol, name: string, { server, tls }: EnvoySide): unknown {
  const limits = { max_connections: many, max_pending_requests: many, max_requests: many, max_retries: many };
  const options = { '@type': `${extension}.upstreams.http.v3.HttpProtocolOptions` };
  const explicit = protocol === 'http1' ? { http_protocol_options: {} } : { http2_protocol_options: {} };
  return {
    name: `${protocol}-${name}`,
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [limits] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { ...options, explicit_http_config: explicit },
    },
    ...(tls.out !== null && { transport_socket: envoyTls('UpstreamTlsContext', tls.out, alpnOf(protocol)) }),
    load_assignment: {
      cluster_name: `${protocol}-${name}`,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(server) } }] }],
    },
  };
}

function socketAddress([address, port]: Place): unknown {
  return { socket_address: { address, port_value: port } };
}
