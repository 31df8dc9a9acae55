// HAProxy in both nodes: TCP mode, one thread each, one mutual-TLS connection per client connection.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { Service } from '../processes.ts';
import { nodeAddresses, serverAddress } from '../topology.ts';
import { peerPorts, type RunningPath, type StartPath, serverPort } from './path.ts';

/** Two descriptors each, within the usual hard limit of 20,000. */
const connectionsMax = 9_000;
const ports = peerPorts.haproxy;
/** TLS as every peer has it. */
export const tlsOptions = 'ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256';

function config(bind: string, server: string): string {
  return `global
  nbthread 1
  maxconn ${connectionsMax}
  tune.ssl.default-dh-param 2048
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend in
  bind ${bind}
  default_backend out
backend out
  server peer ${server}
`;
}

/** Its certificate, and whom it accepts. */
export function tlsFiles({ roots, both }: CertificateFiles): string {
  return `crt ${both} ca-file ${roots} verify required`;
}

/** Starts the pair. */
export const startHaproxy: StartPath = async ({ dir, topology, certificates }): Promise<RunningPath> => {
  const start = (name: string, netns: string, text: string): Service => {
    const file = path.join(dir, `${name}.cfg`);
    writeFileSync(file, text);
    return new Service({ name, netns, words: ['haproxy', '-db', '-f', file], logFile: path.join(dir, `${name}.log`) });
  };
  const hop = `${nodeAddresses.b}:${ports.tunnel}`;
  const proxies = [
    start(
      'haproxy-a',
      topology.nodeA,
      config(
        `${nodeAddresses.a}:${ports.entry} backlog 4096`,
        `${hop} ssl ${tlsOptions} ${tlsFiles(certificates.client)} verifyhost server sni str(server)`,
      ),
    ),
    start(
      'haproxy-b',
      topology.nodeB,
      config(
        `${hop} backlog 4096 ssl ${tlsOptions} ${tlsFiles(certificates.server)}`,
        `${serverAddress}:${serverPort}`,
      ),
    ),
  ];
  const origin = `http://${nodeAddresses.a}:${ports.entry}`;
  return { name: 'haproxy', topology, origin, proxies, services: proxies };
};
