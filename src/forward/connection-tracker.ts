// Every connection of a data thread: the limit, the record at its end, and its end when the mesh no longer wants it.
// Where this proxy enforced a destination's policy, the question is kept and asked again when the mesh changes.
import { MeshError } from '../base/errors.ts';
import type { NamespacedKey, Workload } from '../model/types.ts';
import type { ConnectionView } from '../model/views.ts';
import type { PolicyHits } from '../telemetry/policy-hits.ts';
import type { RecordSink } from '../telemetry/record-sink.ts';
import type { Admission } from './admission.ts';
import type { Connection, PolicyQuestion } from './connection.ts';
import type { ConnectionTraces } from './connection-traces.ts';
import type { EdgeRecorder } from './edge-recorder.ts';
import type { Side } from './shared-use.ts';
import { identityOf } from './workload-names.ts';

/** What policy says to a question; `decidedBy` is the policy that spoke, null where none did. */
export interface Judgement {
  readonly allowed: boolean;
  readonly decidedBy: NamespacedKey | null;
  /** In words, for the log. */
  readonly reason: string;
  /** As `hitsOf` has them; absent for none. */
  readonly policyHits?: readonly string[];
}

export interface TrackerOptions {
  readonly threadId: number;
  readonly admission: Admission;
  readonly judge: (question: PolicyQuestion) => Judgement;
  readonly records: Pick<RecordSink, 'wants' | 'connection' | 'writeOpening' | 'logsOpenings'>;
  readonly edges: EdgeRecorder;
  readonly policyHits?: PolicyHits;
  /** Null or absent: no connection is traced. */
  readonly traces?: ConnectionTraces | null;
  /** Questions asked per turn of the event loop when the mesh has changed. */
  readonly judgePerTurn?: number;
}

const noHits: readonly never[] = Object.freeze([]);
/** About 1 µs each: a turn stays in the order of milliseconds. */
const judgePerTurnDefault = 4096;

/** All connections of one data thread. */
export class ConnectionTracker {
  readonly #options: TrackerOptions;
  readonly #judgePerTurn: number;
  readonly #all = new Set<Connection>();
  /** Connections by the uid of a local pod at either end. */
  readonly #byWorkload = new Map<string, Set<Connection>>();
  readonly #waiting = new Set<Connection>();
  readonly #rejections = new Map<string, number>();
  #judging = false;

  constructor(options: TrackerOptions) {
    this.#options = options;
    this.#judgePerTurn = options.judgePerTurn ?? judgePerTurnDefault;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Connections that a limit refused, by the limit's name. */
  get rejections(): ReadonlyMap<string, number> {
    return this.#rejections;
  }

  /** Takes a new connection in. Throws LIMIT_REACHED when the node proxy has as many as it may. */
  add(connection: Connection): void {
    this.#options.admission.add();
    this.#all.add(connection);
  }

  /** Throws LIMIT_REACHED when there are no descriptors for what is no connection yet. */
  checkDescriptors(): void {
    this.#options.admission.checkDescriptors();
  }

  /**
   * Counts `connection` as one of this pod's, and ends it when the pod goes or becomes another one. Throws
   * LIMIT_REACHED when the pod has as many as it may.
   */
  bind(connection: Connection, local: Workload, side: Side): void {
    this.#options.admission.bind(connection, local, side);
    const known = this.#byWorkload.get(local.uid);
    if (known === undefined) this.#byWorkload.set(local.uid, new Set([connection]));
    else known.add(connection);
    if (!connection.boundTo.includes(local.uid)) connection.boundTo.push(local.uid);
  }

  /** Takes `bind` to a destination back: the connection goes to another endpoint. */
  unbind(connection: Connection, uid: string): void {
    this.#options.admission.unbind(connection, 'destination');
    // A pod that called itself is still its source.
    if (connection.source.workload?.uid !== uid) this.#forget(connection, uid);
  }

  #forget(connection: Connection, uid: string): void {
    connection.boundTo = connection.boundTo.filter((one) => one !== uid);
    const bound = this.#byWorkload.get(uid);
    if (bound?.delete(connection) === true && bound.size === 0) this.#byWorkload.delete(uid);
  }

  /**
   * Asks policy about an inbound or same-node connection, and remembers the question. The connection is registered
   * before the first answer, so that no change of policy can fall between the answer and the registration.
   */
  judge(connection: Connection, question: PolicyQuestion): Judgement {
    connection.question = question;
    const judgement = this.#options.judge(question);
    connection.decidedBy = judgement.decidedBy;
    connection.policyHits = judgement.policyHits ?? noHits;
    return judgement;
  }

  /** Both ends are joined. */
  opened(connection: Connection): void {
    connection.opened = true;
    this.#options.edges.opened(connection);
    const { records } = this.#options;
    if (records.logsOpenings) records.writeOpening(connection.record(null, '-'));
  }

  /** The end of a connection, well (`null`) or not: its one record. A second call does nothing. */
  finish(connection: Connection, error: MeshError | null): void {
    if (connection.finished) return;
    connection.finished = true;
    if (this.#all.delete(connection)) this.#options.admission.remove(connection);
    this.#waiting.delete(connection);
    for (const uid of connection.boundTo) this.#forget(connection, uid);
    if (error?.code === 'LIMIT_REACHED') this.#countRejection(error);
    const flag = error === null ? '-' : error.flag;
    if (connection.policyHits.length > 0) this.#options.policyHits?.count(connection.policyHits);
    this.#options.edges.finished(connection, flag);
    this.#options.traces?.finished(connection, error, flag);
    const { records } = this.#options;
    if (records.wants(error !== null, performance.now())) records.connection(connection.record(error, flag));
  }

  /** Policies have changed: every question is asked again, up to a batch of them within this turn. */
  policiesChanged(): void {
    for (const connection of this.#all) if (connection.question !== null) this.#waiting.add(connection);
    this.#judgeBatch();
  }

  /** A workload has changed (`now`) or gone (null): its connections end or are judged again. */
  workloadChanged(uid: string, now: Workload | null): void {
    const bound = this.#byWorkload.get(uid);
    if (bound === undefined) return;
    for (const connection of [...bound]) {
      if (now === null || !isStill(connection, now)) {
        connection.abort(new MeshError('WORKLOAD_GONE', { workload: uid }));
        continue;
      }
      const { question } = connection;
      if (question === null || !('uid' in question.destination) || question.destination.uid !== uid) continue;
      connection.question = { ...question, destination: now };
      this.#waiting.add(connection);
    }
    this.#judgeBatch();
  }

  /** Ends the connections that fit. */
  abortWhere(fits: (connection: Connection) => boolean, error: MeshError): void {
    for (const connection of [...this.#all]) if (fits(connection)) connection.abort(error);
  }

  /** Ends every connection; returns how many there were. */
  abortAll(error: MeshError): number {
    const all = [...this.#all];
    for (const connection of all) connection.abort(error);
    return all.length;
  }

  /** Adds what live connections have carried since the last call to the edge counters. */
  countBytes(): void {
    for (const connection of this.#all) if (connection.opened) this.#options.edges.countBytes(connection);
  }

  views(): ConnectionView[] {
    return Array.from(this.#all, (connection) => connection.view(this.#options.threadId));
  }

  #countRejection({ details }: MeshError): void {
    const limit = String(details.limit);
    this.#rejections.set(limit, (this.#rejections.get(limit) ?? 0) + 1);
  }

  #judgeBatch(): void {
    if (this.#judging) return;
    let count = 0;
    for (const connection of this.#waiting) {
      if (count++ >= this.#judgePerTurn) break;
      this.#waiting.delete(connection);
      this.#judgeAgain(connection);
    }
    if (this.#waiting.size === 0) return;
    this.#judging = true;
    setImmediate(() => {
      this.#judging = false;
      this.#judgeBatch();
    });
  }

  #judgeAgain(connection: Connection): void {
    const { question } = connection;
    if (question === null || connection.finished) return;
    const judgement = this.#options.judge(question);
    connection.decidedBy = judgement.decidedBy;
    if (judgement.allowed) return;
    connection.abort(new MeshError('POLICY_CHANGED', { policy: judgement.decidedBy ?? judgement.reason }));
  }
}

/** True when `now` is the pod that the connection was made by or to: the same address and the same identity. */
function isStill(connection: Connection, now: Workload): boolean {
  for (const peer of [connection.source, connection.destination]) {
    if (peer.workload?.uid !== now.uid) continue;
    if (!now.addresses.includes(peer.address) || identityOf(peer.workload) !== identityOf(now)) return false;
  }
  return true;
}
