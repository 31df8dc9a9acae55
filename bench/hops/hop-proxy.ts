// Our HTTP path behind a plain listener, or between tunnels: the engine of the waypoint, with routes compiled from a
// VirtualService, an access log in a file and its counters on. What a waypoint adds to it (discovery, admin) is not
// here.
import { systemClock } from '../../src/base/clock.ts';
import type { ConnectEndpoint } from '../../src/http/exchange/context.ts';
import { defaultHttpLimits } from '../../src/http/exchange/limits.ts';
import { createHttpService } from '../../src/http/exchange/service.ts';
import type { ByteStream } from '../../src/io/byte-stream.ts';
import { connectTcp } from '../../src/io/connect-tcp.ts';
import { createTcpServer } from '../../src/io/listen-tcp.ts';
import { chooseTcpBackend } from '../../src/io/tcp-self-test.ts';
import { readManifests } from '../../src/kube/manifests.ts';
import { MeshCompiler } from '../../src/model/compiler.ts';
import { MeshIndex } from '../../src/model/mesh-index.ts';
import type { ServiceRoutes } from '../../src/model/route-types.ts';
import type { AppProtocol, SpiffeId } from '../../src/model/types.ts';
import { AccessLog } from '../../src/telemetry/access-log.ts';
import { RequestCounters } from '../../src/telemetry/request-counters.ts';
import { Tracer } from '../../src/telemetry/traces/tracer.ts';
import type { HopProxyOptions } from './ambient.ts';
import { host, serverPorts } from './hop.ts';
import { HopTunnels } from './hop-tunnels.ts';
import { serviceObjects, servicePort, services } from './service-objects.ts';
import { type HopProtocol, protocols } from './tunnel-ends.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as HopProxyOptions;
const backlog = 4096;

await chooseTcpBackend();
const compiler = new MeshCompiler({
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  rootNamespaces: ['ambient-system'],
  expandTemplates: false,
});
const text = protocols
  .flatMap((protocol) => {
    const endpoint = { address: host, port: serverPorts[protocol] };
    return serviceObjects({ namespace: 'shop', protocol, endpoint });
  })
  .map((one) => JSON.stringify(one))
  .join('\n---\n');
for (const resource of readManifests([{ text, file: 'hop.yaml' }]).resources) compiler.upsert(resource);
for (const issue of compiler.flush().issues) process.stderr.write(`${issue.message}\n`);
const update = compiler.snapshot();
const index = new MeshIndex();
index.apply(update);
const routes = new Map<string, ServiceRoutes>((update.routes ?? []).map((each) => [each.service, each]));
const log = new AccessLog({ format: 'json', file: options.accessFile, access: 'on', level: 'info' });
const tunnels = options.tunnels === undefined ? null : new HopTunnels(options.tunnels.certificate);
const connectPlain: ConnectEndpoint = ({ address, targetPort, timeoutMs }, callback) =>
  connectTcp({ host: address, port: targetPort, timeoutMs }, callback);
const tracer = options.tracedPercent === undefined ? null : tracerOf(options.tracedPercent);
const http = createHttpService({
  index,
  self: () => null,
  routesOf: (key) => routes.get(key) ?? null,
  connect: tunnels?.connect(exitOf) ?? connectPlain,
  passThrough: (stream) => stream.reset(),
  judge: null,
  records: { wants: () => true, request: (record) => log.writeRequest(record) },
  counters: new RequestCounters(),
  limits: defaultHttpLimits,
  random: Math.random,
  tracer,
});

/** Its spans go to the server, which takes anything. */
function tracerOf(samplingPercent: number): Tracer {
  const endpoint = `http://${host}:${serverPorts.http1}`;
  const sent = { endpoint, credentialsDir: '', compression: 'none' } as const;
  const config = { ...sent, samplingPercent, namespaces: {}, connections: false, queuedSpansMax: 1_000_000 };
  const notice = (message: string, fields: object): void => {
    process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
  };
  const origin = { resource: { attributes: {} }, instrumentationScope: { name: 'ambient', version: '' } };
  return new Tracer({ config, origin, clock: systemClock, random: Math.random, notice });
}

/** Of the server end that calls the server on `targetPort`. */
function exitOf(targetPort: number): number {
  const { ports } = options.tunnels!;
  return targetPort === serverPorts.http1 ? ports.http1.exit : ports.http2.exit;
}

interface Client {
  readonly identity: SpiffeId | null;
  readonly address: string;
  readonly port: number;
}

function entrance(name: string, protocol: AppProtocol): (stream: ByteStream, client: Client) => void {
  const service = update.services.find((each) => each.name === name);
  if (service === undefined) throw new Error(`no service ${name}`);
  const dialled = { workload: null, service, servicePort, destinationAddress: service.addresses[0] ?? '', protocol };
  return (stream, { identity, address, port }) => http.serve(stream, { identity, address, port, ...dialled });
}

function listen(protocol: HopProtocol, port: number): void {
  const serve = entrance(services[protocol].name, protocol);
  if (tunnels !== null) {
    tunnels.listen(options.tunnels!.ports[protocol].entry, (stream, tunnel) => {
      const { peerIdentity: identity, remoteAddress: address, remotePort } = tunnel;
      serve(stream, { identity, address, port: remotePort });
    });
    return;
  }
  const server = createTcpServer((stream) =>
    serve(stream, { identity: null, address: stream.remoteAddress, port: stream.remotePort }),
  );
  server.listen({ host, port, backlog });
}

listen('http1', options.http1Port);
listen('http2', options.http2Port);
process.on('SIGTERM', () => {
  log.flush();
  if (tracer !== null) process.stderr.write(`${JSON.stringify(tracer.counters())}\n`);
  process.exit(0);
});
