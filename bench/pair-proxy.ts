// One end of the pair that `pair.ts` measures: the tunnel, the streams and the splice of one tree, without capture,
// policy or telemetry. `client` takes plain TCP and opens tunnels, `server` takes tunnels and connects to the origin.
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import type { TcpStream } from '../src/io/tcp-stream.ts';
import type { TunnelCredentials } from '../src/tunnel/types.ts';

export interface PairProxyOptions {
  readonly role: 'client' | 'server';
  /** The tree whose `src/` is measured. */
  readonly tree: string;
  readonly port: number;
  readonly nextPort: number;
  readonly certificate: { readonly roots: string; readonly certificate: string; readonly key: string };
}

const options = JSON.parse(process.argv[2] ?? '{}') as PairProxyOptions;
const load = <T>(file: string): Promise<T> => import(path.join(options.tree, 'src', file)) as Promise<T>;
const { createTunnelPool } = await load<typeof import('../src/tunnel/pool.ts')>('tunnel/pool.ts');
const { createTunnelServer } = await load<typeof import('../src/tunnel/server.ts')>('tunnel/server.ts');
const { tunnelSecureContext } = await load<typeof import('../src/io/tls-context.ts')>('io/tls-context.ts');
/**
 * What the tree accepts plain connections with: a server that makes streams, or before that a function that makes one.
 */
type Listening = typeof import('../src/io/listen-tcp.ts');
const listening = await load<Listening>('io/listen-tcp.ts').catch(() => null);
const before = await load<{ acceptedTcp: (socket: Socket) => TcpStream }>('io/accept-tcp.ts').catch(() => null);
const selfTest = await load<typeof import('../src/io/tcp-self-test.ts')>('io/tcp-self-test.ts').catch(() => null);
process.stderr.write(`${JSON.stringify((await selfTest?.chooseTcpBackend()) ?? null)}\n`);
const { connectTcp } = await load<typeof import('../src/io/connect-tcp.ts')>('io/connect-tcp.ts');
const { Splice } = await load<typeof import('../src/forward/splice.ts')>('forward/splice.ts');
const { Sweep } = await load<typeof import('../src/forward/sweep.ts')>('forward/sweep.ts');

const sweep = new Sweep({ tickMs: 1000 });
sweep.start();
const deadlines = { idleMs: 600_000, halfCloseMs: 60_000 };
const host = '127.0.0.1';
const read = (file: string): string => readFileSync(file, 'utf8');
const identityOf = (name: string): string => `spiffe://cluster.local/ns/bench/sa/${name}`;
const credentials: TunnelCredentials = {
  identity: identityOf(options.role),
  trustDomain: 'cluster.local',
  secureContext: tunnelSecureContext({
    keyPem: read(options.certificate.key),
    chainPem: read(options.certificate.certificate) + read(options.certificate.roots),
    rootsPem: [read(options.certificate.roots)],
  }),
  generation: 1,
  notAfterMs: Number.POSITIVE_INFINITY,
};
const nothing = (): void => undefined;

const pool = createTunnelPool();
function outbound(source: TcpStream): void {
  const request = {
    credentials,
    acceptIdentities: [identityOf('server')],
    host,
    port: options.nextPort,
    authority: `${host}:80`,
    workloadUid: 'bench',
    node: 'b',
    baggage: 'k8s.cluster.name=Kubernetes,k8s.namespace.name=bench,service.name=client',
    forwarded: `for="${source.remoteAddress}:${source.remotePort}"`,
    traceparent: '',
    timeoutMs: 5000,
  };
  pool.open(request, (_error, opened) => {
    if (opened === null) source.reset();
    else new Splice(source, opened.stream, deadlines, sweep, nothing).start();
  });
}

const tunnels = createTunnelServer();
function inbound(socket: Socket): void {
  tunnels.accept(socket, credentials, (tunnel) => {
    connectTcp({ host, port: options.nextPort, timeoutMs: 5000 }, (_error, stream) => {
      if (stream === null) tunnel.reject(503);
      else new Splice(tunnel.accept(''), stream, deadlines, sweep, nothing).start();
    });
  });
}

const socketOptions = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true };
const listener =
  options.role === 'server'
    ? createServer(socketOptions, inbound)
    : (listening?.createTcpServer(outbound) ??
      createServer(socketOptions, (socket) => outbound(before!.acceptedTcp(socket))));
listener.listen({ port: options.port, host, backlog: 4096 }, () => process.stdout.write('ready\n'));
process.on('SIGTERM', () => process.exit(0));
