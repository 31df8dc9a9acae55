// HBONE for the enrolled pods of this node (port 15008): TLS with the certificate of the pod that was called, then one
// connection per CONNECT, each checked and judged by itself.
import type { Socket } from 'node:net';
import { MeshError } from '../base/errors.ts';
import { canonicalIp, formatHostPort, splitHostPort } from '../base/ip.ts';
import type { SpiffeId, Workload } from '../model/types.ts';
import { parseForwarded } from '../tunnel/forwarded.ts';
import type { TunnelServer } from '../tunnel/server.ts';
import type { IncomingTunnel, TunnelCredentials } from '../tunnel/types.ts';
import { Connection, type Peer } from './connection.ts';
import { type ForwardContext, isOwnPort } from './context.ts';
import { Pending } from './pending.ts';
import type { PodNetwork } from './pod-networks.ts';
import { AnswerTurns } from './turns.ts';
import { baggageOf, identityOf } from './workload-names.ts';

/**
 * Takes over a socket that was accepted on the HBONE port. It waits, bounded, for a pod that is not known yet and for
 * the certificate; a connection to what is no enrolled pod of this node is reset. `pod`: in whose own network it was
 * accepted, where that is so.
 */
export function acceptInboundHbone(
  context: ForwardContext,
  server: TunnelServer,
  socket: Socket,
  pod: PodNetwork | null = null,
): void {
  const local = canonicalIp(socket.localAddress ?? '');
  const remote = canonicalIp(socket.remoteAddress ?? '');
  // A reset while it waits shows here or when TLS begins; either way nobody is left to tell.
  socket.on('error', ignore);
  if (local === null || remote === null) socket.destroy();
  else new Arrival(context, server, socket, remote, local, pod).begin();
}

/** A TCP connection to the tunnel port on its way to TLS. */
class Arrival {
  readonly #context: ForwardContext;
  readonly #server: TunnelServer;
  readonly #socket: Socket;
  readonly #remote: string;
  readonly #local: string;
  readonly #pod: PodNetwork | null;

  constructor(
    context: ForwardContext,
    server: TunnelServer,
    socket: Socket,
    remote: string,
    local: string,
    pod: PodNetwork | null,
  ) {
    this.#pod = pod;
    this.#context = context;
    this.#server = server;
    this.#socket = socket;
    this.#remote = remote;
    this.#local = local;
  }

  begin(): void {
    try {
      this.#context.tracker.checkDescriptors();
      if (this.#pod?.has(this.#local) === false) {
        throw new MeshError('UNKNOWN_DESTINATION', { address: this.#local });
      }
      this.identify();
    } catch (error) {
      this.#refuse(MeshError.from(error));
    }
  }

  /** Which pod was called: its certificate is shown, and only pods of its identity may be asked for. */
  identify(): void {
    const { index, config, networks, holds } = this.#context;
    const address = this.#local;
    const pod = index.workloadByAddress(address);
    if (pod !== null && pod.node === config.nodeName && pod.tunnelProtocol === 'HBONE') {
      this.#certify(pod);
      return;
    }
    const unknown = new MeshError('UNKNOWN_DESTINATION', { address });
    if (pod !== null || !networks.isPod(address)) this.#refuse(unknown);
    else {
      try {
        holds.hold(address, this.#remote, (known) => (known ? this.identify() : this.#refuse(unknown)));
      } catch (error) {
        this.#refuse(MeshError.from(error));
      }
    }
  }

  #certify(pod: Workload): void {
    this.#context.credentials.want(identityOf(pod), (error, credentials) => {
      if (credentials === null) {
        this.#refuse(MeshError.from(error));
        return;
      }
      if (this.#socket.destroyed) return;
      this.#socket.off('error', ignore);
      // A session into one pod's network ends with that pod: it is not announced as one for the whole node.
      const servesNode = this.#pod === null;
      this.#server.accept(this.#socket, credentials, (tunnel) =>
        acceptTunnel(this.#context, credentials, tunnel, servesNode),
      );
    });
  }

  #refuse(error: MeshError): void {
    this.#socket.resetAndDestroy();
    recordRefused(this.#context, error, this.#remote, this.#local);
  }
}

/** One record for a peer that did not get as far as a CONNECT, so that somebody sees why. */
export function recordRefused(context: ForwardContext, error: MeshError, remote: string, local: string): void {
  const { index, tracker, config } = context;
  const connection = new Connection(
    context.nextId(),
    'inbound',
    // Unproven: named for the log, without identity.
    { address: remote, port: 0, workload: index.workloadByAddress(remote), identity: null },
    { address: local, port: config.ports.hbone, workload: index.workloadByAddress(local), identity: null },
  );
  connection.transport = 'mtls';
  tracker.finish(connection, error);
}

/** One CONNECT on a session whose certificate is that of `credentials`. */
export function acceptTunnel(
  context: ForwardContext,
  credentials: TunnelCredentials,
  tunnel: IncomingTunnel,
  servesNode = true,
): void {
  const authority = authorityOf(tunnel.authority);
  const connection = new Connection(context.nextId(), 'inbound', sourceOf(context, tunnel), {
    address: authority?.host ?? canonicalIp(tunnel.localAddress) ?? '',
    port: authority?.port ?? 0,
    workload: null,
    identity: null,
  });
  connection.transport = 'mtls';
  context.traces?.adopt(connection, tunnel.traceparent);
  let aborted = false;
  const pending = new Pending(context, connection, (error) => {
    if (!aborted) tunnel.reject(statusOf(error));
  });
  tunnel.onAbort = () => {
    aborted = true;
    pending.fail(new MeshError('RESET_BY_SOURCE'));
  };
  pending.begin(() => {
    if (authority === null)
      throw new MeshError('AUTHORITY_INVALID', { authority: tunnel.authority, reason: 'no IP:port' });
    const pod = destinationOf(context, credentials.identity, tunnel, authority.host);
    if (isOwnPort(context.config, authority.port)) {
      throw new MeshError('SELF_CALL', { address: formatHostPort(authority.host, authority.port) });
    }
    forward(pending, pod, tunnel, { port: authority.port, servesNode });
  });
}

function forward(
  pending: Pending,
  pod: Workload,
  tunnel: IncomingTunnel,
  { port, servesNode }: { readonly port: number; readonly servesNode: boolean },
): void {
  const { connection, context } = pending;
  const { address } = connection.destination;
  const { source } = connection;
  connection.destination = { address, port, workload: pod, identity: identityOf(pod) };
  context.tracker.bind(connection, pod, 'destination');
  pending.authorize({
    destination: pod,
    sourceIdentity: tunnel.peerIdentity,
    sourceIp: source.address,
    destinationIp: address,
    destinationPort: port,
  });
  pending.connect(
    // An address of a workload of the proven identity, or none: the application is told nothing that is only claimed.
    { host: address, port, from: source.workload === null ? null : source.address, inside: address, isLocal: true },
    (stream) => {
      tunnel.onAbort = null;
      const source = tunnel.accept(baggageOf(pod), true, servesNode);
      const timing = source.timing ?? null;
      const preparation = { setUpMs: connection.elapsedMs(), openMs: 0 };
      pending.join(source, stream, timing === null ? null : new AnswerTurns(timing, preparation));
    },
    (error) => pending.fail(error),
  );
}

/** ADDRESS:PORT of an authority that is an IP address with a port; null for anything else. */
export function authorityOf(text: string): { readonly host: string; readonly port: number } | null {
  const split = splitHostPort(text);
  if (split === null || split.port === 0) return null;
  const host = canonicalIp(split.host);
  return host === null ? null : { host, port: split.port };
}

/**
 * The pod that the authority names: the one whose address the session was made to, or another pod of this node under
 * the very identity that the session's certificate proves. Throws AUTHORITY_INVALID for any other.
 */
function destinationOf(
  context: ForwardContext,
  sessionIdentity: SpiffeId,
  tunnel: IncomingTunnel,
  address: string,
): Workload {
  const { index, config } = context;
  const pod = index.workloadByAddress(address);
  const refused = (reason: string): MeshError =>
    new MeshError('AUTHORITY_INVALID', { authority: tunnel.authority, reason });
  if (pod === null || pod.node !== config.nodeName || pod.tunnelProtocol !== 'HBONE') {
    throw refused('no enrolled pod of this node');
  }
  // Also where it is the session's own address: the pod behind it may have been replaced since the session began.
  if (identityOf(pod) !== sessionIdentity) throw refused(`not a pod of ${sessionIdentity}`);
  return pod;
}

/**
 * The client as policy sees it. Its identity is the peer's certificate. Its address is the claimed one only if that is
 * an address of a workload of this very identity; otherwise it is the address of the TCP peer.
 */
export function sourceOf(context: ForwardContext, tunnel: IncomingTunnel): Peer {
  const { index } = context;
  const identity = tunnel.peerIdentity;
  const claimed = parseForwarded(tunnel.forwarded);
  const claimedAddress = canonicalIp(claimed.address);
  if (claimedAddress !== null) {
    const workload = index.workloadByAddress(claimedAddress);
    if (workload !== null && identityOf(workload) === identity) {
      return { address: claimedAddress, port: claimed.port, workload, identity };
    }
  }
  const address = canonicalIp(tunnel.remoteAddress) ?? tunnel.remoteAddress;
  const workload = index.workloadByAddress(address);
  // Of another identity: the address belongs to somebody else, whose name this connection must not bear.
  const named = workload !== null && identityOf(workload) === identity ? workload : null;
  return { address, port: tunnel.remotePort, workload: named, identity };
}

/** The HTTP status that tells a peer of `error`. */
export function statusOf(error: MeshError): 400 | 401 | 503 {
  if (error.code === 'POLICY_DENIED' || error.code === 'POLICY_CHANGED') return 401;
  return error.code === 'AUTHORITY_INVALID' ? 400 : 503;
}

function ignore(): void {}
