// For tests alone: identities with real certificates, and a tunnel server that listens.
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createRoot, createWorkloadLeaf, type Issuer } from '../identity/x509.ts';
import { tunnelSecureContext } from '../io/tls-context.ts';
import { createTunnelServer, type TunnelServer, type TunnelServerOptions } from './server.ts';
import type { IncomingTunnel, TunnelCredentials, TunnelRequest } from './types.ts';

const hourMs = 3_600_000;

/** An authority of its own, and what it signs. */
export class TestAuthority {
  readonly trustDomain: string;
  readonly rootPem: string;
  readonly #issuer: Issuer;

  constructor(trustDomain = 'cluster.local') {
    this.trustDomain = trustDomain;
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.rootPem = createRoot(keys, trustDomain, validity(-hourMs, hourMs));
    this.#issuer = { certificate: new X509Certificate(this.rootPem), privateKey: keys.privateKey };
  }

  /** Credentials of `spiffe://TRUST-DOMAIN/ns/default/sa/ACCOUNT`, valid for an hour unless said otherwise. */
  credentials(
    account: string,
    options: { generation?: number; from?: number; to?: number; roots?: string[] } = {},
  ): TunnelCredentials {
    const identity = `spiffe://${this.trustDomain}/ns/default/sa/${account}`;
    const keys: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
    const period = validity(options.from ?? -hourMs, options.to ?? hourMs);
    const leaf = createWorkloadLeaf(this.#issuer, spki, identity, period);
    return {
      identity,
      trustDomain: this.trustDomain,
      secureContext: tunnelSecureContext({
        keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        chainPem: leaf + this.rootPem,
        rootsPem: options.roots ?? [this.rootPem],
      }),
      generation: options.generation ?? 1,
      notAfterMs: period.notAfterMs,
    };
  }
}

function validity(fromMs: number, toMs: number): { notBeforeMs: number; notAfterMs: number } {
  return { notBeforeMs: Date.now() + fromMs, notAfterMs: Date.now() + toMs };
}

export interface TestServer {
  readonly port: number;
  readonly tunnels: TunnelServer;
  readonly listener: Server;
  /** TCP connections accepted so far. */
  connections(): number;
  close(): void;
}

/** Listens on 127.0.0.1 and hands every CONNECT to `onTunnel`. */
export async function listenTunnels(
  credentials: TunnelCredentials,
  onTunnel: (tunnel: IncomingTunnel) => void,
  options: TunnelServerOptions = {},
): Promise<TestServer> {
  const tunnels = createTunnelServer(options);
  let connections = 0;
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    connections++;
    tunnels.accept(socket, credentials, onTunnel);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const close = (): void => {
    listener.close();
    tunnels.close();
  };
  return { port: (listener.address() as AddressInfo).port, tunnels, listener, connections: () => connections, close };
}

/** A request for a stream to `accept` at 127.0.0.1:`port`, with everything that does not matter filled in. */
export function requestTo(
  port: number,
  credentials: TunnelCredentials,
  accept: string,
  more: Partial<TunnelRequest> = {},
): TunnelRequest {
  return {
    credentials,
    acceptIdentities: [accept],
    host: '127.0.0.1',
    port,
    authority: '10.0.0.1:8080',
    workloadUid: 'w1',
    node: '',
    baggage: 'service.name=client',
    forwarded: 'for="10.0.0.9:1234"',
    traceparent: '',
    timeoutMs: 2000,
    ...more,
  };
}
