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
  /** Slot `(seq - #first) % flowsMax` has record and weight of `seq`: nothing is made for a record but the record. */
  #records: FlowRecord[] = [];
  #weights: number[] = [];
  /** Number of the next record, and of the first since the ring has had its size. */
  #next = 1;
  #first = 1;
  #windowEndsMs = 0;
  #well = 0;
  #failed = 0;

  constructor({ flowsMax, flowsPerSecond }: FlowRingOptions) {
    this.#options = { flowsMax, flowsPerSecond };
  }

  /** Other limits from here on; a ring of another size begins empty. */
  resize(limits: FlowRingOptions): void {
    if (limits.flowsMax !== this.#options.flowsMax) {
      this.#records = [];
      this.#weights = [];
      this.#first = this.#next;
    }
    const { flowsMax, flowsPerSecond } = limits;
    this.#options = { flowsMax, flowsPerSecond };
  }

  /**
   * Returns how many flows a record of this one, which ended at `nowMs` (milliseconds that never go backwards), would
   * stand for; 0: it is not kept.
   */
  admit(failed: boolean, nowMs: number): number {
    const { flowsMax, flowsPerSecond } = this.#options;
    if (flowsMax === 0) return 0;
    if (nowMs >= this.#windowEndsMs) {
      this.#windowEndsMs = nowMs + windowMs;
      this.#well = 0;
      this.#failed = 0;
    }
    const count = failed ? ++this.#failed : ++this.#well;
    if (count <= flowsPerSecond) return 1;
    return (count - flowsPerSecond) % sampleEvery === 0 ? sampleEvery : 0;
  }

  /** Keeps a record that was admitted with this weight. */
  add(record: FlowRecord, weight: number): void {
    const slot = (this.#next++ - this.#first) % this.#options.flowsMax;
    this.#records[slot] = record;
    this.#weights[slot] = weight;
  }

  /** What was kept after the record `mark`, oldest first, at most `max` and then the newest. 0 is the beginning. */
  since(mark: number, max: number): FlowsSince {
    const last = this.#next - 1;
    const { flowsMax } = this.#options;
    const from = Math.max(mark + 1, this.#first, this.#next - Math.min(flowsMax, max));
    const flows: KeptFlow[] = [];
    for (let seq = from; seq <= last; seq++) {
      const slot = (seq - this.#first) % flowsMax;
      flows.push({ seq, weight: this.#weights[slot]!, record: this.#records[slot]! });
    }
    return { flows, last, lost: Math.max(0, last - mark - flows.length) };
  }
}
