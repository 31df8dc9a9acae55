// The hops of others: Envoy, nginx, HAProxy, and none. One worker thread each, no access log.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { envoyTls } from '../paths/envoy.ts';
import { Service } from '../processes.ts';
import {
  type HopContext,
  type HopRule,
  hopRules,
  host,
  type RunningHop,
  requestTimeoutMs,
  retryAttempts,
  type StartHop,
  serverPorts,
  weights,
} from './hop.ts';
import { endPorts, type HopProtocol, protocols, startTlsEnds } from './tunnel-ends.ts';

const many = 100_000;
const timeoutS = requestTimeoutMs / 1_000;

/** The server itself: the ceiling of what can be measured here. */
export const startNone: StartHop = async () => ({
  name: 'direct',
  http1: `http://${host}:${serverPorts.http1}`,
  http2: `http://${host}:${serverPorts.http2}`,
  proxy: null,
  services: [],
});

interface Beside {
  readonly http2?: boolean;
  readonly ends?: readonly Service[];
}

function running(
  name: string,
  context: HopContext,
  proxy: Service,
  { http2 = true, ends = [] }: Beside = {},
): RunningHop {
  const { http1Port, http2Port } = context;
  return {
    name,
    http1: `http://${host}:${http1Port}`,
    http2: http2 ? `http://${host}:${http2Port}` : null,
    proxy,
    services: [...ends, proxy],
  };
}

/** Envoy in plaintext, from the binary at `envoy`. */
export const startEnvoyHop =
  (envoy: string): StartHop =>
  async (context) => {
    const sides: Record<HopProtocol, Side> = {
      http1: { listen: context.http1Port, server: serverPorts.http1, tls: null },
      http2: { listen: context.http2Port, server: serverPorts.http2, tls: null },
    };
    return running('envoy-l7', context, startEnvoy(envoy, context, 11, sides));
  };

/** Envoy with mutual TLS on both sides. */
export const startEnvoyTlsHop =
  (envoy: string): StartHop =>
  async (context) => {
    const { http1, http2 } = endPorts(context);
    const tls = context.certificates.server;
    const sides: Record<HopProtocol, Side> = {
      http1: { listen: http1.entry, server: http1.exit, tls },
      http2: { listen: http2.entry, server: http2.exit, tls },
    };
    return running('envoy-mtls', context, startEnvoy(envoy, context, 12, sides), { ends: [startTlsEnds(context)] });
  };

/** Where a protocol comes in and goes out; with a certificate for both, or plain. */
interface Side {
  readonly listen: number;
  readonly server: number;
  readonly tls: CertificateFiles | null;
}

function startEnvoy(envoy: string, { dir }: HopContext, baseId: number, sides: Record<HopProtocol, Side>): Service {
  const file = path.join(dir, 'envoy.json');
  writeFileSync(file, JSON.stringify(envoyConfig(sides)), { mode: 0o600 });
  const options = ['--concurrency', '1', '--base-id', String(baseId), '--log-level', 'error', '--disable-hot-restart'];
  const words = [envoy, '-c', file, ...options];
  return new Service({ name: 'envoy', netns: null, words, logFile: path.join(dir, 'envoy.log') });
}

const extension = 'type.googleapis.com/envoy.extensions';

function envoyConfig(sides: Record<HopProtocol, Side>): unknown {
  return {
    static_resources: {
      listeners: protocols.map((protocol) => envoyListener(protocol, sides[protocol])),
      clusters: protocols.flatMap((protocol) =>
        Object.keys(weights).map((name) => envoyCluster(protocol, name, sides[protocol])),
      ),
    },
  };
}

function envoyListener(protocol: HopProtocol, { listen, tls }: Side): unknown {
  const manager = {
    '@type': `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: protocol,
    codec_type: protocol.toUpperCase(),
    generate_request_id: true,
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${extension}.filters.http.router.v3.Router` } },
    ],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: hopRules.map((rule) => envoyRoute(protocol, rule)) }],
    },
  };
  return {
    name: protocol,
    address: socketAddress(listen),
    tcp_backlog_size: 4096,
    filter_chains: [
      {
        filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
        ...(tls !== null && { transport_socket: envoyTls('DownstreamTlsContext', tls, alpnOf(protocol)) }),
      },
    ],
  };
}

function envoyRoute(protocol: string, rule: HopRule): unknown {
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
      timeout: `${timeoutS}s`,
      retry_policy: { retry_on: 'connect-failure,refused-stream,unavailable,cancelled', num_retries: retryAttempts },
    },
  };
}

function alpnOf(protocol: HopProtocol): string {
  return protocol === 'http1' ? 'http/1.1' : 'h2';
}

function envoyCluster(protocol: HopProtocol, name: string, { server: port, tls }: Side): unknown {
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
    ...(tls !== null && { transport_socket: envoyTls('UpstreamTlsContext', tls, alpnOf(protocol)) }),
    load_assignment: {
      cluster_name: `${protocol}-${name}`,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(port) } }] }],
    },
  };
}

function socketAddress(port: number): unknown {
  return { socket_address: { address: host, port_value: port } };
}

/** nginx; it speaks HTTP/2 to no server, so gRPC is left to the others. */
export const startNginxHop: StartHop = async (context) => {
  const file = path.join(context.dir, 'nginx.conf');
  writeFileSync(file, nginxConfig(context));
  const words = ['nginx', '-p', context.dir, '-e', path.join(context.dir, 'error.log'), '-c', file];
  const proxy = new Service({ name: 'nginx-hop', netns: null, words, logFile: path.join(context.dir, 'nginx.log') });
  return running('nginx', context, proxy, { http2: false });
};

function nginxConfig({ dir, http1Port }: HopContext): string {
  const pass = `proxy_pass http://$target;`;
  const places = hopRules
    .filter(({ path: wanted }) => wanted !== undefined)
    .map(({ path: wanted }) => `location ${wanted?.kind === 'exact' ? '= ' : ''}${wanted?.value} { ${pass} }`);
  return `user root root;
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_timeout 1h; keepalive_requests 100000000;
  client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2; fastcgi_temp_path ${dir}/t3;
  uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;
  upstream stable { server ${host}:${serverPorts.http1}; keepalive 128; keepalive_requests 100000000; }
  upstream canary { server ${host}:${serverPorts.http1}; keepalive 128; keepalive_requests 100000000; }
  split_clients $request_id $drawn { ${weights.stable}% stable; * canary; }
  map $http_x_canary $by_canary { yes canary; default $drawn; }
  map $http_x_user $by_user { ~^beta- canary; default $by_canary; }
  map $request_method $target { DELETE stable; default $by_user; }
  server {
    listen ${host}:${http1Port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header x-request-id $request_id;
    proxy_connect_timeout 5s; proxy_read_timeout ${timeoutS}s;
    proxy_next_upstream error; proxy_next_upstream_tries ${retryAttempts + 1};
    ${places.join('\n    ')}
    location / { ${pass} }
  }
}
`;
}

/** HAProxy. */
export const startHaproxyHop: StartHop = async (context) => {
  const file = path.join(context.dir, 'haproxy.cfg');
  writeFileSync(file, haproxyConfig(context));
  const words = ['haproxy', '-db', '-f', file];
  const proxy = new Service({ name: 'haproxy', netns: null, words, logFile: path.join(context.dir, 'haproxy.log') });
  return running('haproxy', context, proxy);
};

function haproxyConfig({ http1Port, http2Port }: HopContext): string {
  const side = (name: string, port: number, server: number, proto: string): string => `
frontend in-${name}
  bind ${host}:${port} backlog 4096${proto}
  unique-id-format %[uuid()]
  http-request set-header x-request-id %[unique-id]
${hopRules.map((rule) => useBackend(name, rule)).join('\n')}
backend stable-${name}
  server one ${host}:${server}${proto}
backend canary-${name}
  server one ${host}:${server}${proto}`;
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  http-reuse always
  retries ${retryAttempts}
  retry-on conn-failure empty-response
  timeout connect 5s
  timeout client 1h
  timeout server ${timeoutS}s
${side('h1', http1Port, serverPorts.http1, '')}
${side('h2', http2Port, serverPorts.http2, ' proto h2')}
`;
}

function useBackend(name: string, { path: wanted, header, method }: HopRule): string {
  const conditions = [
    ...(wanted ? [`{ ${wanted.kind === 'exact' ? 'path' : 'path_beg'} ${wanted.value} }`] : []),
    ...(header ? [`{ req.hdr(${header.name}) ${header.kind === 'exact' ? '' : '-m beg '}${header.value} }`] : []),
    ...(method ? [`{ method ${method} }`] : []),
  ];
  if (conditions.length > 0) return `  use_backend stable-${name} if ${conditions.join(' ')}`;
  return `  use_backend canary-${name} if { rand(100) lt ${weights.canary} }\n  default_backend stable-${name}`;
}
