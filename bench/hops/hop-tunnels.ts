// The tunnels of our hop: HBONE from the client end, and HBONE to the server end, as `pair-proxy.ts` speaks it.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { ConnectEndpoint } from '../../src/http/exchange/context.ts';
import type { ByteStream } from '../../src/io/byte-stream.ts';
import { tunnelSecureContext } from '../../src/io/tls-context.ts';
import { createTunnelPool } from '../../src/tunnel/pool.ts';
import { createTunnelServer } from '../../src/tunnel/server.ts';
import type { IncomingTunnel, TunnelCredentials } from '../../src/tunnel/types.ts';
import type { CertificateFiles } from '../certificates.ts';
import { host } from './hop.ts';

const backlog = 4096;
const identity = 'spiffe://cluster.local/ns/bench/sa/server';

/** Both sides, with one certificate. */
export class HopTunnels {
  readonly #credentials: TunnelCredentials;
  readonly #server = createTunnelServer();
  readonly #pool = createTunnelPool();

  constructor({ roots, certificate, key }: Pick<CertificateFiles, 'roots' | 'certificate' | 'key'>) {
    const read = (file: string): string => readFileSync(file, 'utf8');
    this.#credentials = {
      identity,
      trustDomain: 'cluster.local',
      secureContext: tunnelSecureContext({
        keyPem: read(key),
        chainPem: read(certificate) + read(roots),
        rootsPem: [read(roots)],
      }),
      generation: 1,
      notAfterMs: Number.POSITIVE_INFINITY,
    };
  }

  /** Hands every stream that a client opens on `port` to `serve`. */
  listen(port: number, serve: (stream: ByteStream, tunnel: IncomingTunnel) => void): Server {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#server.accept(socket, this.#credentials, (tunnel) => serve(tunnel.accept(''), tunnel)),
    );
    return server.listen({ host, port, backlog });
  }

  /** Opens streams to the server end whose port `exitOf` names. */
  connect(exitOf: (targetPort: number) => number): ConnectEndpoint {
    return ({ address, targetPort, timeoutMs }, callback) => {
      const exit = exitOf(targetPort);
      const request = {
        credentials: this.#credentials,
        acceptIdentities: [identity],
        host,
        port: exit,
        authority: `${address}:${targetPort}`,
        workloadUid: `end-${exit}`,
        node: `end-${exit}`,
        baggage: 'k8s.cluster.name=Kubernetes,k8s.namespace.name=bench,service.name=waypoint',
        forwarded: '',
        traceparent: '',
        timeoutMs,
      };
      return this.#pool.open(request, (error, opened) => callback(error, opened?.stream ?? null));
    };
  }
}
