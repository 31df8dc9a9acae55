// A connection that a local pod makes (port 15001): who is it, where does it go, and what to do when an endpoint
// cannot be reached. Nothing of the client's is read before the destination is connected, so a second attempt loses
// nothing.
import { MeshError } from '../base/errors.ts';
import { formatHostPort } from '../base/ip.ts';
import { threadLateness } from '../io/loop-lateness.ts';
import type { StreamTiming } from '../io/stream-timing.ts';
import type { TcpStream } from '../io/tcp-stream.ts';
import type { Workload } from '../model/types.ts';
import { formatForwarded } from '../tunnel/forwarded.ts';
import { newTraceparent } from '../tunnel/traceparent.ts';
import type { TunnelCredentials, TunnelOpened, TunnelRequest } from '../tunnel/types.ts';
import { type Captured, captured } from './captured.ts';
import { Connection } from './connection.ts';
import { type ForwardContext, isOwnPort } from './context.ts';
import { decideOutbound, type Way } from './decide.ts';
import { mayTryElsewhere, refusedByPeer } from './dial.ts';
import { Pending } from './pending.ts';
import type { PodNetwork } from './pod-networks.ts';
import { RequestTurns } from './turns.ts';
import { baggageOf, identityOf } from './workload-names.ts';

/** Takes over a connection that was accepted on the outbound port, of `pod` where it was accepted in there. */
export function acceptOutbound(context: ForwardContext, stream: TcpStream, pod: PodNetwork | null = null): void {
  const from = captured(stream);
  if (from !== null) new Outbound(context, from).begin(pod);
}

class Outbound {
  readonly #context: ForwardContext;
  readonly #from: Captured;
  readonly #connection: Connection;
  readonly #pending: Pending;
  /** Endpoints that failed, by uid. */
  readonly #tried = new Set<string>();
  /** How long it may have waited to be accepted. */
  readonly #lateMs: number = threadLateness.peekMs();
  #lastError: MeshError | null = null;

  constructor(context: ForwardContext, from: Captured) {
    this.#context = context;
    this.#from = from;
    this.#connection = new Connection(
      context.nextId(),
      'outbound',
      { address: from.sourceAddress, port: from.sourcePort, workload: null, identity: null },
      { address: from.destinationAddress, port: from.destinationPort, workload: null, identity: null },
    );
    this.#pending = new Pending(context, this.#connection, () => from.stream.reset());
  }

  begin(pod: PodNetwork | null): void {
    this.#pending.begin(() => {
      const { sourceAddress, destinationAddress, destinationPort } = this.#from;
      // Inside its own network a pod can call from whatever address it likes.
      if (pod?.has(sourceAddress) === false) throw new MeshError('UNKNOWN_SOURCE', { address: sourceAddress });
      if (isOwnPort(this.#context.config, destinationPort)) {
        throw new MeshError('SELF_CALL', { address: formatHostPort(destinationAddress, destinationPort) });
      }
      this.#identify();
    });
  }

  #identify(): void {
    const { index, networks, tracker, config } = this.#context;
    const { sourceAddress: address, sourcePort: port } = this.#from;
    const source = index.workloadByAddress(address);
    if (source === null) {
      const unknown = new MeshError('UNKNOWN_SOURCE', { address });
      if (!networks.maySend(address)) throw unknown;
      this.#pending.hold(address, unknown, () => this.#identify());
      return;
    }
    // Capture delivers pods of this node alone: an address of another node is a lie.
    if (source.node !== config.nodeName) throw new MeshError('UNKNOWN_SOURCE', { address });
    const identity = source.tunnelProtocol === 'HBONE' ? identityOf(source) : null;
    this.#connection.source = { address, port, workload: source, identity };
    tracker.bind(this.#connection, source, 'source');
    this.#resolve(source);
  }

  #resolve(source: Workload): void {
    const { index, networks } = this.#context;
    const address = this.#from.destinationAddress;
    const known = index.workloadByAddress(address) !== null || index.serviceByVip(address, source.namespace) !== null;
    if (known || !networks.isMesh(address)) {
      this.#attempt(source);
      return;
    }
    const unknown = new MeshError('UNKNOWN_DESTINATION', { address });
    this.#pending.hold(address, unknown, () => this.#resolve(source));
  }

  #attempt(source: Workload): void {
    const { index, config, random } = this.#context;
    const { destinationAddress, destinationPort } = this.#from;
    const way = decideOutbound({
      index,
      source,
      address: destinationAddress,
      port: destinationPort,
      nodeName: config.nodeName,
      sameNode: config.sameNode,
      exclude: this.#tried,
      random,
    });
    // After a failed attempt, what could not be reached says more than that nothing is left.
    if (way instanceof MeshError) this.#connection.service = index.serviceByVip(destinationAddress, source.namespace);
    if (way instanceof MeshError) throw this.#lastError ?? way;
    this.#take(source, way);
  }

  #take(source: Workload, way: Way): void {
    const { address, port, workload } = way;
    const connection = this.#connection;
    connection.service = way.service;
    connection.destination = { address, port, workload, identity: null };
    connection.transport = way.kind === 'tunnel' ? 'mtls' : way.kind === 'same-node' ? 'same-node' : 'plaintext';
    if (workload !== null && workload.node === this.#context.config.nodeName) {
      this.#context.tracker.bind(connection, workload, 'destination');
    }
    if (way.kind === 'tunnel' && workload !== null) {
      this.#tunnel(source, way, workload);
      return;
    }
    if (way.enforce && workload !== null) this.#enforce(workload, way);
    const isLocal = workload?.node === this.#context.config.nodeName;
    const from = this.#from.sourceAddress;
    this.#pending.connect(
      { host: address, port, from, inside: way.enforce ? address : from, isLocal },
      (stream) => this.#pending.join(this.#from.stream, stream),
      (error) => this.#failed(source, way, error),
    );
  }

  /** The destination is a pod of this node, so this is the proxy that has to ask its policy. */
  #enforce(workload: Workload, way: Way): void {
    const { source, destination, transport } = this.#connection;
    if (transport === 'same-node') this.#connection.destination = { ...destination, identity: identityOf(workload) };
    this.#pending.authorize({
      destination: workload,
      sourceIdentity: source.identity,
      sourceIp: source.address,
      destinationIp: way.address,
      destinationPort: way.port,
    });
  }

  #tunnel(source: Workload, way: Way, workload: Workload): void {
    this.#pending.connecting();
    this.#pending.start((settled) =>
      this.#context.credentials.want(identityOf(source), (error, credentials) => {
        settled();
        this.#pending.step(() => {
          if (credentials === null) throw MeshError.from(error);
          this.#open(source, way, workload, credentials);
        });
      }),
    );
  }

  #open(source: Workload, way: Way, workload: Workload, credentials: TunnelCredentials): void {
    const request = this.#request(source, way, workload, credentials);
    this.#pending.start((settled) =>
      this.#context.pool.open(request, (error, opened) => {
        settled();
        if (this.#connection.finished) opened?.stream.reset();
        this.#pending.step(() => {
          if (opened === null) this.#failed(source, way, MeshError.from(error));
          else this.#opened(opened);
        });
      }),
    );
  }

  #request(source: Workload, way: Way, workload: Workload, credentials: TunnelCredentials): TunnelRequest {
    const { config } = this.#context;
    const { sourceAddress, sourcePort, destinationAddress, destinationPort } = this.#from;
    const named = way.waypoint === null ? way.service : way.waypoint.service;
    const dialled = formatHostPort(destinationAddress, destinationPort);
    return {
      credentials,
      acceptIdentities: [identityOf(workload), ...(named?.subjectAltNames ?? [])],
      host: way.address,
      port: way.waypoint === null ? config.ports.hbone : way.port,
      authority: way.waypoint === null ? formatHostPort(way.address, way.port) : dialled,
      workloadUid: workload.uid,
      node: way.waypoint === null ? workload.node : '',
      baggage: baggageOf(source),
      forwarded: formatForwarded(sourceAddress, sourcePort, way.service?.hostname),
      traceparent: this.#context.traces?.traceparentOf(this.#connection) ?? newTraceparent(),
      timeoutMs: config.timeouts.connectMs,
      timed: way.waypoint !== null,
    };
  }

  #opened(opened: TunnelOpened): void {
    this.#connection.destination = { ...this.#connection.destination, identity: opened.peerIdentity };
    const { stream } = opened;
    const timing = stream.timing ?? null;
    this.#pending.join(this.#from.stream, stream, timing === null ? null : this.#turns(timing));
  }

  /** A waypoint asks how long its requests were on their way. */
  #turns(timing: StreamTiming): RequestTurns {
    const openMs = timing.openedInMs;
    const setUpMs = Math.max(this.#connection.elapsedMs() - openMs, 0) + this.#lateMs;
    return new RequestTurns(timing, { setUpMs, openMs });
  }

  /** An attempt failed before a byte was sent: another endpoint, or the end. */
  #failed(source: Workload, way: Way, error: MeshError): void {
    const refused = refusedByPeer(error, way.address, this.#context.config.ports.hbone);
    if (refused !== error) throw refused;
    const { endpointAttempts } = this.#context.config.limits;
    const hasOthers = (way.waypoint ?? way).service !== null;
    const isLast = this.#connection.attempts >= endpointAttempts || !hasOthers || way.workload === null;
    // A waypoint that does not stand before the destination any more: the mesh has another way by now.
    const isOutdated = way.waypoint !== null && error.code === 'TUNNEL_REJECTED' && error.details.status === 400;
    if (isLast || !(isOutdated || mayTryElsewhere(error))) throw error;
    this.#lastError = error;
    if (way.workload !== null) {
      this.#tried.add(way.workload.uid);
      this.#context.tracker.unbind(this.#connection, way.workload.uid);
    }
    this.#connection.question = null;
    this.#attempt(source);
  }
}
