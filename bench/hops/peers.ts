// The hops of others: Envoy, nginx, HAProxy, and none. One worker thread each, no access log.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { Service } from '../processes.ts';
import { type EnvoySide, startEnvoyHttp } from './envoy-http.ts';
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
import { endPorts, type HopProtocol, startTlsEnds } from './tunnel-ends.ts';

const timeoutS = requestTimeoutMs / 1_000;

/** The server itself: the ceiling of what can be measured here. */
export const startNone: StartHop = async () => ({
  name: 'direct',
  http1: `http://${host}:${serverPorts.http1}`,
  http2: `http://${host}:${serverPorts.http2}`,
  netns: null,
  proxies: [],
  waypoint: null,
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
    netns: null,
    proxies: [proxy],
    waypoint: null,
    services: [...ends, proxy],
  };
}

/** Envoy in plaintext, from the binary at `envoy`. */
export const startEnvoyHop =
  (envoy: string): StartHop =>
  async (context) => {
    const { http1Port, http2Port } = context;
    const sides = {
      http1: sideOf(http1Port, serverPorts.http1, null),
      http2: sideOf(http2Port, serverPorts.http2, null),
    };
    return running('envoy-l7', context, startEnvoy(envoy, context, 11, sides));
  };

/** Envoy with mutual TLS on both sides. */
export const startEnvoyTlsHop =
  (envoy: string): StartHop =>
  async (context) => {
    const { http1, http2 } = endPorts(context);
    const tls = context.certificates.server;
    const sides = { http1: sideOf(http1.entry, http1.exit, tls), http2: sideOf(http2.entry, http2.exit, tls) };
    return running('envoy-mtls', context, startEnvoy(envoy, context, 12, sides), { ends: [startTlsEnds(context)] });
  };

function sideOf(listen: number, server: number, tls: CertificateFiles | null): EnvoySide {
  return { listen: [host, listen], server: [host, server], tls: { in: tls, out: tls } };
}

function startEnvoy(
  binary: string,
  { dir }: HopContext,
  baseId: number,
  sides: Readonly<Record<HopProtocol, EnvoySide>>,
): Service {
  return startEnvoyHttp({ binary, dir, netns: null, name: 'envoy', baseId, sides, rules: hopRules });
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
