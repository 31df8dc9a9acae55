// Ended spans of one thread on their way to a receiver: a bounded queue, batches, one of them under way at a time. What
// cannot be delivered is counted by its reason and let go of; nothing here ever slows a request down.
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Span } from './span.ts';

/** Why spans were dropped: no room, the receiver said no, it was not reached, it took a part, or the program ended. */
export const dropReasons = ['queue', 'refused', 'unreachable', 'partial', 'shutdown'] as const;
export type DropReason = (typeof dropReasons)[number];

/** How a batch fared. */
export type Delivery =
  /** `rejected`: spans that the receiver did not take. */
  | { readonly kind: 'taken'; readonly rejected: number; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Worth another try; `afterMs` as the receiver said, -1 where it did not. */
  | { readonly kind: 'failed'; readonly reason: string; readonly afterMs: number };

/** Sends one batch; a rejection is a fault of ours, which no second try would mend. */
export type Deliver = (spans: readonly Span[], signal: AbortSignal) => Promise<Delivery>;

export interface SpanQueueOptions {
  readonly queuedSpansMax: number;
  /** Loads what sends; asked once, when the first batch is due. */
  readonly load: () => Promise<Deliver>;
  readonly clock: Clock;
  readonly random: () => number;
  /** Told when deliveries begin to fail, and when they go on. */
  readonly notice: (message: string, fields: Readonly<Record<string, string | number>>) => void;
}

/** Encoding a batch takes about a millisecond: no longer may it hold requests up. */
const batchSpansMax = 128;
const batchAfterMs = 1_000;
const triesMax = 5;
const firstWaitMs = 1_000;
const waitMaxMs = 30_000;
/** Lines about failures come no closer together. */
const quietMs = 60_000;

/** The queue; `add` never waits and never throws. */
export class SpanQueue {
  exported = 0;
  readonly dropped: Record<DropReason, number> = { queue: 0, refused: 0, unreachable: 0, partial: 0, shutdown: 0 };
  readonly #options: SpanQueueOptions;
  readonly #backoff: Backoff;
  #waiting: Span[] = [];
  #batch: readonly Span[] = [];
  #tries = 0;
  #loading: Promise<Deliver> | null = null;
  #lift: (() => void) | null = null;
  #isSending = false;
  /** The receiver is given time: nothing is sent before. */
  #isPausing = false;
  #closing: (() => void) | null = null;
  #closed = false;
  #isFailing = false;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  readonly #abort = new AbortController();

  constructor(options: SpanQueueOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: firstWaitMs, capMs: waitMaxMs, jitter: 0.2, random: options.random });
  }

  /** Spans that are not delivered yet. */
  get size(): number {
    return this.#waiting.length + this.#batch.length;
  }

  add(span: Span): void {
    if (this.#closed) this.dropped.shutdown++;
    else if (this.size >= this.#options.queuedSpansMax) this.dropped.queue++;
    else {
      this.#waiting.push(span);
      if (this.#batch.length > 0 || this.#isPausing) return;
      if (this.#closing !== null || this.#waiting.length >= batchSpansMax) this.#next();
      else this.#lift ??= this.#after(batchAfterMs);
    }
  }

  /** Delivers what waits, within `deadlineMs`; what is left then is counted as dropped. Resolves when it is done. */
  close(deadlineMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.size === 0) {
      this.#end();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(deadlineMs, () => this.#end());
      this.#closing = () => {
        cancel();
        resolve();
      };
      if (!this.#isSending) this.#next();
    });
  }

  /** Lets go of everything at once. */
  destroy(): void {
    if (!this.#closed) this.#end();
  }

  #end(): void {
    this.#closed = true;
    this.dropped.shutdown += this.size;
    if (this.size > 0) this.#options.notice('spans are lost at shutdown', { spans: this.size });
    this.#waiting = [];
    this.#batch = [];
    this.#lift?.();
    this.#lift = null;
    this.#abort.abort();
    this.#closing?.();
  }

  #after(ms: number): () => void {
    return this.#options.clock.after(ms, () => {
      this.#lift = null;
      this.#next();
    });
  }

  /** The batch at hand once more, else the next. */
  #next(): void {
    this.#lift?.();
    this.#lift = null;
    this.#isPausing = false;
    if (this.#batch.length === 0) this.#batch = this.#waiting.splice(0, batchSpansMax);
    if (this.#batch.length > 0) void this.#send(this.#batch);
  }

  async #send(batch: readonly Span[]): Promise<void> {
    this.#isSending = true;
    const delivery = await this.#deliver(batch);
    this.#isSending = false;
    // What was under way when the end came is counted already.
    if (this.#closed) return;
    this.#tries++;
    if (delivery.kind !== 'failed' || this.#tries >= triesMax) {
      this.#settled(batch, delivery);
      return;
    }
    this.#failed(delivery.reason);
    this.#pause(Math.min(Math.max(delivery.afterMs, this.#backoff.next()), waitMaxMs));
  }

  async #deliver(batch: readonly Span[]): Promise<Delivery> {
    try {
      this.#loading ??= this.#options.load();
      return await (await this.#loading)(batch, this.#abort.signal);
    } catch (error) {
      return { kind: 'refused', reason: messageOf(error) };
    }
  }

  #pause(ms: number): void {
    this.#lift = this.#after(ms);
    this.#isPausing = true;
  }

  #settled(batch: readonly Span[], delivery: Delivery): void {
    this.#batch = [];
    this.#tries = 0;
    if (delivery.kind === 'taken') {
      const rejected = Math.min(delivery.rejected, batch.length);
      this.exported += batch.length - rejected;
      this.dropped.partial += rejected;
      this.#backoff.reset();
      if (rejected > 0) this.#failed(`it took ${batch.length - rejected} of ${batch.length}: ${delivery.reason}`);
      else this.#recovered();
    } else {
      this.dropped[delivery.kind === 'refused' ? 'refused' : 'unreachable'] += batch.length;
      this.#failed(delivery.reason);
    }
    if (this.#waiting.length === 0) {
      if (this.#closing !== null) this.#end();
      return;
    }
    if (delivery.kind !== 'taken') this.#pause(this.#backoff.next());
    else if (this.#closing !== null || this.#waiting.length >= batchSpansMax) this.#next();
    else this.#lift = this.#after(batchAfterMs);
  }

  #failed(reason: string): void {
    this.#isFailing = true;
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#saidAtMs < quietMs) return;
    this.#saidAtMs = nowMs;
    this.#options.notice('spans are not delivered: ambient_trace_spans_dropped_total counts those that are lost', {
      reason,
    });
  }

  #recovered(): void {
    if (this.#isFailing) this.#options.notice('spans are delivered again', {});
    this.#isFailing = false;
  }
}
