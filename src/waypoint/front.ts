// The waypoint's side towards its clients: HBONE with the waypoint's certificate, and per CONNECT the service or the
// workload that was dialled. Anything that this waypoint does not stand before is refused.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import { canonicalIp, formatHostPort } from '../base/ip.ts';
import { Connection } from '../forward/connection.ts';
import type { ForwardContext } from '../forward/context.ts';
import type { Dialler } from '../forward/dial.ts';
import { authorityOf, recordRefused, sourceOf, statusOf } from '../forward/inbound-hbone.ts';
import { type PassThrough, passThrough } from '../forward/pass-through.ts';
import { Pending } from '../forward/pending.ts';
import { baggageOf } from '../forward/workload-names.ts';
import type { WaypointAddress } from '../model/types.ts';
import type { TunnelServer } from '../tunnel/server.ts';
import type { IncomingTunnel } from '../tunnel/types.ts';

/** Which waypoint this is: its Gateway. */
export interface WaypointName {
  readonly namespace: string;
  readonly name: string;
}

/** What a client dialled. */
type Dialled = Pick<PassThrough, 'to' | 'address' | 'port'>;

/** Takes clients in; one per data thread. */
export class WaypointFront {
  readonly #context: ForwardContext;
  readonly #server: TunnelServer;
  readonly #dialler: Dialler;
  readonly #name: WaypointName;

  constructor(server: TunnelServer, dialler: Dialler, name: WaypointName) {
    this.#context = dialler.context;
    this.#server = server;
    this.#dialler = dialler;
    this.#name = name;
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

  #onTunnel(tunnel: IncomingTunnel): void {
    const authority = authorityOf(tunnel.authority);
    const destination = { address: authority?.host ?? '', port: authority?.port ?? 0, workload: null, identity: null };
    const connection = new Connection(this.#context.nextId(), 'inbound', sourceOf(this.#context, tunnel), destination);
    connection.transport = 'mtls';
    let aborted = false;
    const pending = new Pending(this.#context, connection, (error) => {
      if (!aborted) tunnel.reject(statusOf(error));
    });
    tunnel.onAbort = () => {
      aborted = true;
      pending.fail(new MeshError('RESET_BY_SOURCE'));
    };
    pending.begin(() => {
      const dialled = this.#dialled(tunnel.authority, authority, connection);
      const accept = () => {
        tunnel.onAbort = null;
        return tunnel.accept(this.#baggage());
      };
      passThrough({ dialler: this.#dialler, pending, ...dialled, accept });
    });
  }

  /** Throws AUTHORITY_INVALID for what this waypoint does not stand before, NO_SUCH_PORT. */
  #dialled(text: string, authority: ReturnType<typeof authorityOf>, connection: Connection): Dialled {
    const refused = (reason: string): MeshError => new MeshError('AUTHORITY_INVALID', { authority: text, reason });
    if (authority === null) throw refused('no IP:port');
    const { host: address, port } = authority;
    const { index, config } = this.#context;
    const service = index.serviceByVip(address, connection.source.workload?.namespace ?? null);
    if (service !== null) {
      connection.service = service;
      if (!this.#standsBefore(service.waypoint)) throw refused(`${service.hostname} has another waypoint, or none`);
      if (service.ports.some(({ servicePort }) => servicePort === port)) {
        return { to: { service, workload: null }, address, port };
      }
      throw new MeshError('NO_SUCH_PORT', { service: service.hostname, port });
    }
    const workload = index.workloadByAddress(address);
    if (workload === null || !this.#standsBefore(workload.waypoint)) {
      throw refused('nothing that this waypoint stands before');
    }
    if (port !== config.ports.hbone) return { to: { service: null, workload }, address, port };
    throw new MeshError('SELF_CALL', { address: formatHostPort(address, port) });
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
