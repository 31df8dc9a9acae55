// The ends of a hop that speaks mutual TLS on both sides. They turn the load tool's plain connections into the hop's,
// and the hop's into the server's; their CPU does not count. For our hop they are tunnels (the ends of
// `pair-proxy.ts`), for Envoy plain TLS connections by HAProxy, the cheapest that there is, so that what they cost is
// to Envoy's good.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { PairProxyOptions } from '../pair-proxy.ts';
import { tlsFiles, tlsOptions } from '../paths/haproxy.ts';
import { Service } from '../processes.ts';
import { type HopContext, host, serverPorts } from './hop.ts';

const program = path.join(path.dirname(import.meta.dirname), 'pair-proxy.ts');
const tree = path.dirname(path.dirname(import.meta.dirname));
export const protocols = ['http1', 'http2'] as const;
export type HopProtocol = (typeof protocols)[number];

/** Where a protocol enters the hop, and where the hop's own server end takes what leaves it. */
export interface EndPorts {
  readonly entry: number;
  readonly exit: number;
}

/** The ports between the hop and its ends: two per protocol, after those that the load tool calls. */
export function endPorts({ http1Port, http2Port }: HopContext): Record<HopProtocol, EndPorts> {
  const of = (port: number): EndPorts => ({ entry: port + 2_000, exit: port + 4_000 });
  return { http1: of(http1Port), http2: of(http2Port) };
}

/** Starts the ends of our hop: a client end and a server end for each protocol. */
export function startTunnelEnds(context: HopContext): Service[] {
  const ports = endPorts(context);
  const listening = { http1: context.http1Port, http2: context.http2Port };
  const start = (role: 'client' | 'server', protocol: HopProtocol, port: number, nextPort: number): Service => {
    const options: PairProxyOptions = { role, tree, port, nextPort, certificate: context.certificates[role] };
    const words = [process.execPath, program, JSON.stringify(options)];
    const name = `${role}-end-${protocol}`;
    return new Service({ name, netns: null, words, logFile: path.join(context.dir, `${name}.log`) });
  };
  return protocols.flatMap((protocol) => {
    const { entry, exit } = ports[protocol];
    return [
      start('server', protocol, exit, serverPorts[protocol]),
      start('client', protocol, listening[protocol], entry),
    ];
  });
}

/** Starts the ends of Envoy's hop: one HAProxy, which has all four. */
export function startTlsEnds(context: HopContext): Service {
  const file = path.join(context.dir, 'ends.cfg');
  const ports = endPorts(context);
  const { client, server } = context.certificates;
  const relay = (name: string, bind: string, to: string): string => `
frontend in-${name}
  bind ${host}:${bind}
  default_backend out-${name}
backend out-${name}
  server next ${host}:${to}
`;
  const text = protocols.map((protocol) => {
    const { entry, exit } = ports[protocol];
    const plain = protocol === 'http1' ? context.http1Port : context.http2Port;
    const toHop = `${entry} ssl ${tlsOptions} ${tlsFiles(client)} verifyhost server sni str(server)`;
    const fromHop = `${exit} backlog 4096 ssl ${tlsOptions} ${tlsFiles(server)}`;
    return (
      relay(`client-${protocol}`, `${plain} backlog 4096`, toHop) +
      relay(`server-${protocol}`, fromHop, String(serverPorts[protocol]))
    );
  });
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
${text.join('')}`,
  );
  const words = ['haproxy', '-db', '-f', file];
  return new Service({ name: 'haproxy-ends', netns: null, words, logFile: path.join(context.dir, 'ends.log') });
}
