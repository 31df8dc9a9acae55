// What a waypoint does with bytes that are no HTTP: an endpoint is chosen for the connection, another one when it
// cannot be reached, and both are joined. Nothing of the client's is read before the endpoint is connected.
import { MeshError } from '../base/errors.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import { chooseEndpoint } from '../model/balance.ts';
import type { Service, Workload } from '../model/types.ts';
import type { Connection } from './connection.ts';
import { type Dialler, type DialTarget, dial, isTunnelled, mayTryElsewhere, refusedByPeer } from './dial.ts';
import type { Pending } from './pending.ts';

export interface PassThrough {
  readonly dialler: Dialler;
  readonly pending: Pending;
  /** What was dialled: a service, or a workload by its own address. */
  readonly to:
    | { readonly service: Service; readonly workload: null }
    | { readonly service: null; readonly workload: Workload };
  /** As it was dialled. */
  readonly address: string;
  readonly port: number;
  /** The client's stream, once the endpoint is there. */
  readonly accept: () => ByteStream;
}

/** Connects to an endpoint and joins the two; whatever fails ends the connection with its record. */
export function passThrough(options: PassThrough): void {
  new Attempts(options).next();
}

class Attempts {
  readonly #options: PassThrough;
  readonly #connection: Connection;
  readonly #tried = new Set<string>();
  #lastError: MeshError | null = null;

  constructor(options: PassThrough) {
    this.#options = options;
    this.#connection = options.pending.connection;
  }

  /** Throws what keeps it from trying. */
  next(): void {
    const target = this.#choose();
    const { pending, dialler } = this.#options;
    const { workload, address, targetPort } = target;
    const connection = this.#connection;
    connection.destination = { address, port: targetPort, workload, identity: null };
    connection.transport = isTunnelled(workload) ? 'mtls' : 'plaintext';
    pending.connecting();
    pending.start((settled) =>
      dial(dialler, target, (error, stream, identity) => {
        settled();
        if (connection.finished) stream?.reset();
        pending.step(() => {
          if (stream === null) this.#failed(target, MeshError.from(error));
          else {
            connection.destination = { ...connection.destination, identity };
            pending.join(this.#options.accept(), stream);
          }
        });
      }),
    );
  }

  #choose(): DialTarget {
    const { to, address, port, dialler } = this.#options;
    const { index, random, config } = dialler.context;
    const { connectMs: timeoutMs } = config.timeouts;
    if (to.service === null) {
      return { service: null, workload: to.workload, address, targetPort: port, timeoutMs };
    }
    const { service } = to;
    try {
      const query = { service, port, source: dialler.self(), destinationIp: address, exclude: this.#tried, random };
      const choice = chooseEndpoint(index, query);
      if (choice.workload === null) throw new MeshError('NO_ENDPOINT', { service: service.hostname, port });
      return { service, workload: choice.workload, address: choice.address, targetPort: choice.targetPort, timeoutMs };
    } catch (error) {
      // After a failed attempt, what could not be reached says more than that nothing is left.
      throw this.#lastError ?? error;
    }
  }

  #failed(target: DialTarget, error: MeshError): void {
    const { config } = this.#options.dialler.context;
    const refused = refusedByPeer(error, target.address, config.ports.hbone);
    const isLast = this.#connection.attempts >= config.limits.endpointAttempts || target.service === null;
    if (refused !== error || isLast || !mayTryElsewhere(error)) throw refused;
    this.#lastError = error;
    this.#tried.add(target.workload.uid);
    this.next();
  }
}
