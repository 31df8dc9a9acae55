// One tunnel of the simulation: the client's request, the server's answer, and both sides of the stream.

import { ErrorCode } from '../../src/h2/constants.ts';
import { headerOf } from '../../src/h2/header-check.ts';
import type { H2Session } from '../../src/h2/session.ts';
import type { H2Stream, StreamFailure } from '../../src/h2/stream.ts';
import type { Random } from '../support/random.ts';
import { check } from './rules.ts';
import type { Side } from './side.ts';
import type { SimulatedLoop } from './simulated-loop.ts';

export interface ExchangePlan {
  /** When the client opens it. */
  readonly atMs: number;
  /** The client writes before it has an answer. */
  readonly isEager: boolean;
  /** How long the server takes to answer. */
  readonly answerMs: number;
  readonly isRejected: boolean;
  /** The client gives up after this, if it has no answer yet; never when negative. */
  readonly giveUpMs: number;
}

/** Opens when told, and knows when both sides are done. */
export class Exchange {
  readonly client: Side;
  readonly server: Side;
  readonly plan: ExchangePlan;
  /** Given up before there was a stream: nothing is expected of it. */
  isDropped = false;
  isOpen = false;
  /** The server has seen the request. */
  isSeen = false;
  failure: StreamFailure | null = null;
  gaveUp = false;
  readonly #loop: SimulatedLoop;
  readonly #random: Random;
  #answered = false;

  constructor(client: Side, server: Side, plan: ExchangePlan, loop: SimulatedLoop, random: Random) {
    this.client = client;
    this.server = server;
    this.plan = plan;
    this.#loop = loop;
    this.#random = random;
    client.other = server;
    server.other = client;
  }

  /** Every side that there is has been told that it is over. */
  get isOver(): boolean {
    if (this.isDropped) return true;
    if (!this.isOpen) return false;
    const clientOver = this.client.closed !== null || this.failure !== null || this.gaveUp;
    return clientOver && (!this.isSeen || this.server.closed !== null);
  }

  /** False when the session takes no stream now. */
  open(session: H2Session, name: string): boolean {
    const stream = session.open([':method', 'CONNECT', ':authority', name, 'baggage', 'a=b'], false, {
      onHeaders: (_, headers) => this.#onAnswer(stream!, headers),
      onFailed: (_, failure) => {
        check(this.failure === null, 'close', () => `${this.client.name} fails twice`);
        check(!failure.retryable || !this.isSeen, 'retry', () => `${this.client.name} was seen by the server`);
        this.failure = failure;
      },
    });
    if (stream === null) return false;
    this.isOpen = true;
    this.client.attach(stream);
    if (this.plan.isEager) {
      stream.start(this.client);
      this.client.pump();
    }
    if (this.plan.giveUpMs >= 0) this.#loop.after(this.plan.giveUpMs, () => this.#giveUp(stream));
    return true;
  }

  /** Server: the request is here. */
  serve(stream: H2Stream): void {
    check(!this.isSeen, 'bytes', () => `${this.client.name} is seen twice by the server`);
    this.isSeen = true;
    let isAborted = false;
    stream.events = {
      onHeaders: () => undefined,
      onFailed: () => {
        isAborted = true;
        this.server.closed ??= { error: null, wasReset: true };
      },
    };
    const answer = (): void => {
      if (!isAborted) this.#answer(stream);
    };
    if (this.plan.answerMs === 0) answer();
    else this.#loop.after(this.plan.answerMs, answer);
  }

  #answer(stream: H2Stream): void {
    this.server.attach(stream);
    if (this.plan.isRejected) {
      this.server.rejected = true;
      this.server.closed = { error: null, wasReset: false };
      stream.respond([':status', '503'], true);
      stream.abort(ErrorCode.NoError);
      return;
    }
    stream.respond([':status', '200', 'x-ambient-serves', 'node'], false);
    const begin = (): void => {
      stream.start(this.server);
      this.server.pump();
    };
    if (this.#random.oneIn(2)) begin();
    else this.#loop.after(this.#random.below(50), begin);
  }

  #onAnswer(stream: H2Stream, headers: readonly string[]): void {
    if (this.gaveUp) return;
    check(!this.#answered, 'close', () => `${this.client.name} is answered twice`);
    this.#answered = true;
    if (headerOf(headers, ':status') !== '200') {
      check(this.server.rejected, 'bytes', () => `${this.client.name} was not rejected`);
      this.gaveUp = true;
      this.client.aborted = true;
      stream.destroy();
      return;
    }
    if (this.plan.isEager) return;
    stream.start(this.client);
    this.client.pump();
  }

  #giveUp(stream: H2Stream): void {
    if (this.#answered || this.failure !== null || this.client.closed !== null) return;
    this.gaveUp = true;
    this.client.aborted = true;
    stream.destroy();
  }
}
