// The recent past of one data thread: the last connections and requests as their records, in a ring of fixed size.
// `ambientctl tap`, `simulate` and the graph read it. Under load it keeps a sample, so that what is refused or fails
// now and then does not drown in what goes well.
import type { AccessRecord, RequestRecord } from './access-record.ts';

export type FlowRecord = AccessRecord | RequestRecord;

/** A record in the ring. `seq` grows by one per thread; `weight` is how many flows it stands for, itself included. */
export interface KeptFlow {
  readonly seq: number;
  readonly weight: number;
  readonly record: FlowRecord;
}

export interface FlowRingOptions {
  /** Records that are kept; 0 keeps none. */
  readonly flowsMax: number;
  /** Above so many in a second, and as many failed ones, only every `sampleEvery`th is kept. */
  readonly flowsPerSecond: number;
  /** Milliseconds that never go backwards. */
  readonly nowMs: () => number;
}

/** What the ring holds behind a mark. `last` is the mark for the next call; `lost` were overwritten before. */
export interface FlowsSince {
  readonly flows: readonly KeptFlow[];
  readonly last: number;
  readonly lost: number;
}

const sampleEvery = 64;
const windowMs = 1_000;

/** A ring of records. `admit` first, and only for what it admits a record has to be made. */
export class FlowRing {
  #options: FlowRingOptions;
  #slots: KeptFlow[] = [];
  /** Number of the next record; slot `(seq - 1) % flowsMax`. */
  #next = 1;
  #windowEndsMs = 0;
  #well = 0;
  #failed = 0;

  constructor(options: FlowRingOptions) {
    this.#options = options;
  }

  /** Other limits from here on; a ring of another size begins empty. */
  resize(limits: Pick<FlowRingOptions, 'flowsMax' | 'flowsPerSecond'>): void {
    if (limits.flowsMax !== this.#options.flowsMax) this.#slots = [];
    this.#options = { ...this.#options, ...limits };
  }

  /** Returns how many flows a record of this one would stand for; 0: it is not kept. */
  admit(failed: boolean): number {
    const { flowsMax, flowsPerSecond, nowMs } = this.#options;
    if (flowsMax === 0) return 0;
    const now = nowMs();
    if (now >= this.#windowEndsMs) {
      this.#windowEndsMs = now + windowMs;
      this.#well = 0;
      this.#failed = 0;
    }
    const count = failed ? ++this.#failed : ++this.#well;
    if (count <= flowsPerSecond) return 1;
    return (count - flowsPerSecond) % sampleEvery === 0 ? sampleEvery : 0;
  }

  /** Keeps a record that was admitted with this weight. */
  add(record: FlowRecord, weight: number): void {
    const seq = this.#next++;
    this.#slots[(seq - 1) % this.#options.flowsMax] = { seq, weight, record };
  }

  /** What was kept after the record `mark`, oldest first, at most `max` and then the newest. 0 is the beginning. */
  since(mark: number, max: number): FlowsSince {
    const last = this.#next - 1;
    const held = Math.min(this.#slots.length, last);
    const from = Math.max(mark, last - held, last - max) + 1;
    const flows: KeptFlow[] = [];
    for (let seq = from; seq <= last; seq++) {
      const kept = this.#slots[(seq - 1) % this.#options.flowsMax];
      if (kept?.seq === seq) flows.push(kept);
    }
    return { flows, last, lost: Math.max(0, last - mark - flows.length) };
  }
}
