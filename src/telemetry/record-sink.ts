// Where the records of connections and requests go: into the access log, and into the ring of recent flows. Asked
// before a record is made, since most are not wanted when the log is off and the ring samples.
import type { AccessLog } from './access-log.ts';
import type { AccessRecord, RequestRecord } from './access-record.ts';
import type { FlowRing } from './flow-ring.ts';

/** Ask `wants`, and when it is true make the record and hand it over, before `wants` is asked again. */
export class RecordSink {
  readonly #log: AccessLog;
  readonly #flows: FlowRing;
  #weight = 0;

  constructor(log: AccessLog, flows: FlowRing) {
    this.#log = log;
    this.#flows = flows;
  }

  /** True when somebody wants the record of a flow that has just ended, well or not, by `performance.now()`. */
  wants(failed: boolean, nowMs: number): boolean {
    this.#weight = this.#flows.admit(failed, nowMs);
    return this.#weight > 0 || this.#log.isOn;
  }

  connection(record: AccessRecord): void {
    this.#log.write(record);
    if (this.#weight > 0) this.#flows.add(record, this.#weight);
  }

  request(record: RequestRecord): void {
    this.#log.writeRequest(record);
    if (this.#weight > 0) this.#flows.add(record, this.#weight);
  }

  /** See `AccessLog`. */
  get logsOpenings(): boolean {
    return this.#log.logsOpenings;
  }

  writeOpening(record: AccessRecord): void {
    this.#log.writeOpening(record);
  }
}
