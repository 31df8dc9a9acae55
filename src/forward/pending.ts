// The time between accept and joined streams, alike for all three listeners: waiting for the mesh, connecting, giving
// up. Whatever happens, it ends in exactly one of two ways: `join`, or `fail` with the connection's one record.
import { MeshError } from '../base/errors.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import type { Connection, PolicyQuestion } from './connection.ts';
import type { ForwardContext } from './context.ts';
import { Splice } from './splice.ts';
import type { SpliceObserver } from './turns.ts';

/** Where a plain connection goes. */
export interface PlainTarget {
  readonly host: string;
  readonly port: number;
  /** The client's address; null where the node's own will do. */
  readonly from: string | null;
  /** The pod of this node in whose network it begins, where capture is there. */
  readonly inside: string;
  /** A pod of this node. */
  readonly isLocal?: boolean;
}

/** A connection that is not joined yet. `refuse` tells the client, in its protocol, that it failed. */
export class Pending {
  readonly context: ForwardContext;
  readonly connection: Connection;
  readonly #refuse: (error: MeshError) => void;
  #cancel: () => void = nothing;
  #connectStartedMs = 0;

  constructor(context: ForwardContext, connection: Connection, refuse: (error: MeshError) => void) {
    this.context = context;
    this.connection = connection;
    this.#refuse = refuse;
    connection.abort = (error) => this.fail(error);
  }

  /** Registers the connection, then runs `first`. */
  begin(first: () => void): void {
    this.step(() => {
      this.context.tracker.add(this.connection);
      first();
    });
  }

  /** Runs what comes next, unless the connection has ended; what it throws ends this connection, not the thread. */
  step(next: () => void): void {
    if (this.connection.finished) return;
    try {
      next();
    } catch (error) {
      this.fail(MeshError.from(error));
    }
  }

  /**
   * Starts one thing that calls back once, later or at once, and remembers how to give it up: `begin` returns that.
   * Its callback calls `settled` before all else.
   */
  start(begin: (settled: () => void) => () => void): void {
    let isSettled = false;
    const cancel = begin(() => {
      isSettled = true;
      this.#cancel = nothing;
    });
    // Having called back at once, it may have started the next thing, whose cancel must stay.
    if (isSettled) return;
    if (this.connection.finished) cancel();
    else this.#cancel = cancel;
  }

  /** Waits for news of `address`, then goes on with `next`; without news the connection ends with `error`. */
  hold(address: string, error: MeshError, next: () => void): void {
    const startedMs = performance.now();
    this.start((settled) =>
      this.context.holds.hold(address, this.connection.source.address, (known) => {
        settled();
        this.connection.holdMs = (this.connection.holdMs ?? 0) + performance.now() - startedMs;
        if (known) this.step(next);
        else this.fail(error);
      }),
    );
  }

  /** Asks the destination's policy. Throws POLICY_DENIED when it refuses. */
  authorize(question: PolicyQuestion): void {
    const judgement = this.context.tracker.judge(this.connection, question);
    if (!judgement.allowed) {
      throw new MeshError('POLICY_DENIED', { policy: judgement.decidedBy ?? judgement.reason });
    }
  }

  /** Starts the clock of `segmentsMs.connect`; a second attempt does not start it again. */
  connecting(): void {
    this.connection.attempts++;
    if (this.#connectStartedMs === 0) this.#connectStartedMs = performance.now();
  }

  /**
   * A plain TCP connection to an address, from the address `from` if that can be; `done` gets the stream, `failed` the
   * error.
   */
  connect(
    { host, port, from, inside, isLocal = false }: PlainTarget,
    done: (stream: ByteStream) => void,
    failed: (error: MeshError) => void,
  ): void {
    const { connect, config } = this.context;
    const options = { host, port, inside, isLocal, timeoutMs: config.timeouts.connectMs };
    this.connecting();
    this.start((settled) =>
      connect(from === null ? options : { ...options, localAddress: from }, (error, stream) => {
        settled();
        if (stream === null) this.step(() => failed(MeshError.from(error)));
        else if (this.connection.finished) stream.reset();
        else this.step(() => done(stream));
      }),
    );
  }

  /**
   * Joins the two streams; from here on the splice decides about the end. `observer` is told of each chunk.
   */
  join(source: ByteStream, destination: ByteStream, observer: SpliceObserver | null = null): void {
    const { connection, context } = this;
    const { tracker, sweep, config } = context;
    this.#cancel = nothing;
    connection.connectMs = performance.now() - this.#connectStartedMs;
    const finish = (error: MeshError | null): void => tracker.finish(connection, error);
    const splice = new Splice(source, destination, config.timeouts, sweep, finish, observer);
    connection.splice = splice;
    connection.abort = (error) => splice.abort(error);
    tracker.opened(connection);
    splice.start();
  }

  /** Ends the connection: gives up what is under way, tells the client, writes the record. */
  fail(error: MeshError): void {
    if (this.connection.finished) return;
    const cancel = this.#cancel;
    this.#cancel = nothing;
    this.context.tracker.finish(this.connection, error);
    cancel();
    this.#refuse(error);
  }
}

function nothing(): void {}
