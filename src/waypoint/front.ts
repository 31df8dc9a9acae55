// The waypoint's side towards its clients: HBONE with the waypoint's certificate, and per CONNECT the service or the
// workload that was dialled. HTTP goes to the HTTP service, everything else to an endpoint as it is. What this waypoint
// does not stand before is refused.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import { canonicalIp, formatHostPort } from '../base/ip.ts';
import { Connection, type Peer } from '../forward/connection.ts';
import type { ForwardContext } from '../forward/context.ts';
import type { Dialler } from '../forward/dial.ts';
import { authorityOf, recordRefused, sourceOf, statusOf } from '../forward/inbound-hbone.ts';
import { type PassThrough, passThrough } from '../forward/pass-through.ts';
import { Pending } from '../forward/pending.ts';
import { baggageOf } from '../forward/workload-names.ts';
import type { ClientInfo } from '../http/exchange/context.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import { protocolOfPod } from '../model/balance.ts';
import { serviceKey } from '../model/mesh-index.ts';
import type { AppProtocol, Service, WaypointAddress } from '../model/types.ts';
import type { TunnelServer } from '../tunnel/server.ts';
import type { IncomingTunnel } from '../tunnel/types.ts';
import type { PodServices } from './pod-services.ts';

/** Which waypoint this is: its Gateway. */
export interface WaypointName {
  readonly namespace: string;
  readonly name: string;
}

/** The HTTP service as the front needs it. */
export interface HttpEntrance {
  /** Takes the stream of a port that speaks HTTP, or may. */
  serve(stream: ByteStream, client: ClientInfo): void;
  /** Streams that it has. */
  active(): number;
}

/** What a client dialled. */
type Dialled = Pick<PassThrough, 'to' | 'address' | 'port'>;
/** Protocols that are not HTTP, whatever comes. */
const opaque: readonly AppProtocol[] = ['tcp', 'tls'];

/** Takes clients in; one per data thread. */
export class WaypointFront {
  readonly #context: ForwardContext;
  readonly #server: TunnelServer;
  readonly #dialler: Dialler;
  readonly #name: WaypointName;
  readonly #http: HttpEntrance;

  readonly #pods: PodServices;

  constructor(server: TunnelServer, dialler: Dialler, name: WaypointName, http: HttpEntrance, pods: PodServices) {
    this.#pods = pods;
    this.#context = dialler.context;
    this.#server = server;
    this.#dialler = dialler;
    this.#name = name;
    this.#http = http;
  }

  /** Takes over a socket that was accepted, paused, on the tunnel port. */
  accept(socket: Socket): void {
    const { tracker, credentials } = this.#context;
    const remote = canonicalIp(socket.remoteAddress ?? '') ?? '';
    const local = canonicalIp(socket.localAddress ?? '') ?? '';
    // A reset while it waits shows here or when TLS begins; either way nobody is left to tell.
    socket.on('error', ignore);
    const refuse = (error: MeshError): void => {
      socket.resetAndDestroy();
      recordRefused(this.#context, error, remote, local);
    };
    try {
      tracker.checkDescriptors();
    } catch (error) {
      refuse(MeshError.from(error));
      return;
    }
    credentials.want(this.#dialler.identity, (error, own) => {
      if (own === null) refuse(MeshError.from(error));
      else if (!socket.destroyed) {
        socket.off('error', ignore);
        this.#server.accept(socket, own, (tunnel) => this.#onTunnel(tunnel));
      }
    });
  }

  /** Connects a stream that turned out to speak no HTTP; what was read of it comes first. */
  passThrough(stream: ByteStream, client: ClientInfo): void {
    const { pod, destinationAddress: address, servicePort: port, identity, workload } = client;
    const source = { address: client.address, port: client.port, workload, identity };
    const connection = this.#connection(source, address, port);
    connection.service = pod === undefined ? client.service : null;
    const pending = new Pending(this.#context, connection, () => stream.reset());
    const to = pod === undefined ? { service: client.service, workload: null } : { service: null, workload: pod };
    pending.begin(() => this.#connect(pending, { to, address, port }, () => stream));
  }

  /** Who has just been put behind this waypoint may be known to its clients first: that news is waited for, bounded. */
  #onTunnel(tunnel: IncomingTunnel): void {
    const authority = authorityOf(tunnel.authority);
    const source = sourceOf(this.#context, tunnel);
    const dialled = this.#dialled(tunnel.authority, authority, source);
    const isEarly = dialled instanceof MeshError && dialled.code === 'AUTHORITY_INVALID';
    if (authority === null || !isEarly) {
      this.#admit(tunnel, source, dialled);
      return;
    }
    try {
      const { holds, tracker } = this.#context;
      const forget = holds.hold(authority.host, source.address, () => {
        this.#admit(tunnel, source, this.#dialled(tunnel.authority, authority, source));
      });
      tunnel.onAbort = () => {
        forget();
        tracker.finish(this.#connection(source, authority.host, authority.port), dialled);
      };
    } catch (error) {
      this.#admit(tunnel, source, MeshError.from(error));
    }
  }

  #admit(tunnel: IncomingTunnel, source: Peer, dialled: Dialled | MeshError): void {
    const authority = authorityOf(tunnel.authority);
    const client = dialled instanceof MeshError ? null : this.#httpClient(dialled, source);
    if (client !== null && this.#hasRoom()) {
      tunnel.onAbort = null;
      this.#http.serve(tunnel.accept(this.#baggage(), true), client);
      return;
    }
    const connection = this.#connection(source, authority?.host ?? '', authority?.port ?? 0);
    this.#context.traces?.adopt(connection, tunnel.traceparent);
    let aborted = false;
    const pending = new Pending(this.#context, connection, (error) => {
      if (!aborted) tunnel.reject(statusOf(error));
    });
    tunnel.onAbort = () => {
      aborted = true;
      pending.fail(new MeshError('RESET_BY_SOURCE'));
    };
    pending.begin(() => {
      if (dialled instanceof MeshError) throw dialled;
      if (client !== null) throw this.#full();
      connection.service = dialled.to.service;
      this.#connect(pending, dialled, () => {
        tunnel.onAbort = null;
        return tunnel.accept(this.#baggage());
      });
    });
  }

  /** Streams that speak HTTP are no connections of the tracker, and count all the same. */
  #hasRoom(): boolean {
    const { tracker, config } = this.#context;
    return tracker.size + this.#http.active() < config.limits.connectionsMax;
  }

  #full(): MeshError {
    const { connectionsMax: value } = this.#context.config.limits;
    return new MeshError('LIMIT_REACHED', { limit: 'connectionsMax', value, what: 'connections' });
  }

  #connection(source: Peer, address: string, port: number): Connection {
    const destination = { address, port, workload: null, identity: null };
    const connection = new Connection(this.#context.nextId(), 'inbound', source, destination);
    connection.transport = 'mtls';
    return connection;
  }

  #connect(pending: Pending, dialled: Dialled, accept: () => ByteStream): void {
    const { source } = pending.connection;
    pending.authorize({
      destination: dialled.to.service ?? this.#pods.guardianOf(dialled.to.workload),
      sourceIdentity: source.identity,
      sourceIp: source.address,
      destinationIp: dialled.address,
      destinationPort: dialled.port,
    });
    passThrough({ dialler: this.#dialler, pending, ...dialled, accept });
  }

  /** The client of a port that speaks HTTP, or may; null where it surely does not. */
  #httpClient({ to, address, port }: Dialled, source: Peer): ClientInfo | null {
    const protocol = to.service === null ? protocolOfPod(to.workload, port) : this.#protocolOf(to.service, port);
    if (opaque.includes(protocol)) return null;
    const { workload, identity } = source;
    const client = { identity, workload, address: source.address, port: source.port };
    const dialled = { servicePort: port, destinationAddress: address, protocol };
    if (to.service !== null) return { ...client, service: to.service, ...dialled };
    return { ...client, service: this.#pods.serviceOf(to.workload, address, port), ...dialled, pod: to.workload };
  }

  #protocolOf(service: Service, port: number): AppProtocol {
    const routed = this.#context.index.routesOf(serviceKey(service))?.ports.find((one) => one.port === port);
    return routed?.protocol ?? service.ports.find((one) => one.servicePort === port)?.appProtocol ?? 'unknown';
  }

  /** Or AUTHORITY_INVALID for what this waypoint does not stand before, NO_SUCH_PORT, SELF_CALL. */
  #dialled(text: string, authority: ReturnType<typeof authorityOf>, source: Peer): Dialled | MeshError {
    const refused = (reason: string): MeshError => new MeshError('AUTHORITY_INVALID', { authority: text, reason });
    if (authority === null) return refused('no IP:port');
    const { host: address, port } = authority;
    const { index, config } = this.#context;
    const service = index.serviceByVip(address, source.workload?.namespace ?? null);
    if (service !== null) {
      if (!this.#standsBefore(service.waypoint)) return refused(`${service.hostname} has another waypoint, or none`);
      if (service.ports.some(({ servicePort }) => servicePort === port)) {
        return { to: { service, workload: null }, address, port };
      }
      return new MeshError('NO_SUCH_PORT', { service: service.hostname, port });
    }
    const workload = index.workloadByAddress(address);
    if (workload === null || !this.#standsBefore(workload.waypoint)) {
      return refused('nothing that this waypoint stands before');
    }
    if (port !== config.ports.hbone) return { to: { service: null, workload }, address, port };
    return new MeshError('SELF_CALL', { address: formatHostPort(address, port) });
  }

  /** By host name, or by an address of its Service or its own. */
  #standsBefore(waypoint: WaypointAddress | null): boolean {
    if (waypoint === null) return false;
    const { namespace, name } = this.#name;
    const { hostname } = waypoint;
    if (hostname !== undefined) {
      return hostname.namespace === namespace && hostname.hostname.startsWith(`${name}.${namespace}.svc.`);
    }
    const address = waypoint.address?.address ?? '';
    const service = this.#context.index.serviceByVip(address, namespace);
    if (service !== null) return service.namespace === namespace && service.name === name;
    return this.#dialler.self()?.addresses.includes(address) ?? false;
  }

  #baggage(): string {
    const self = this.#dialler.self();
    return self === null ? '' : baggageOf(self);
  }
}

function ignore(): void {}
