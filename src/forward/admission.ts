// Who is still let in: connections of the whole node proxy, of each pod, and descriptors. What is over a limit is
// refused before anything is done for it; what runs is never touched.
import type { Descriptors } from '../base/descriptors.ts';
import { MeshError } from '../base/errors.ts';
import type { NodeConfig } from '../config/node.ts';
import type { Workload } from '../model/types.ts';
import type { Connection } from './connection.ts';
import { type SharedUse, type Side, slotOf, totalSlot } from './shared-use.ts';

export type AdmissionLimits = Pick<NodeConfig['limits'], 'connectionsMax' | 'connectionsPerPodMax' | 'descriptorsMax'>;

export interface AdmissionOptions {
  /** The live limits: read at every connection. */
  readonly limits: AdmissionLimits;
  readonly use: SharedUse;
  readonly descriptors: Pick<Descriptors, 'limit' | 'accept'>;
  readonly threadId: number;
}

/** Descriptors that are kept free, for what the proxy needs itself; of a very low RLIMIT_NOFILE an eighth. */
const descriptorsKept = 256;
const descriptorsKeptShare = 8;
/** With fewer than a quarter left, a pod that holds more than an eighth of them gets no more, so that others do. */
const scarceShare = 0.75;
const greedyShare = 8;

/** The descriptors that connections may take: `descriptorsMax`, or what RLIMIT_NOFILE leaves where that is less. */
export function descriptorsFor(descriptorsMax: number, limit: number): number {
  if (!Number.isFinite(limit)) return descriptorsMax;
  return Math.min(descriptorsMax, limit - Math.min(descriptorsKept, Math.floor(limit / descriptorsKeptShare)));
}

/** Counts the connections of one data thread against the limits that it shares with the others. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #use: SharedUse;
  readonly #descriptors: AdmissionOptions['descriptors'];
  readonly #threadId: number;
  #descriptorsUsed = 0;

  constructor({ limits, use, descriptors, threadId }: AdmissionOptions) {
    this.#limits = limits;
    this.#use = use;
    this.#descriptors = descriptors;
    this.#threadId = threadId;
  }

  /** Throws LIMIT_REACHED when another connection would need a descriptor too many. */
  checkDescriptors(): void {
    const allowed = this.#descriptorsAllowed();
    this.#descriptorsUsed = this.#descriptors.accept();
    if (this.#descriptorsUsed > allowed) throw reached('descriptorsMax', allowed, 'this node proxy');
  }

  /** A new connection. Throws LIMIT_REACHED, and then has not counted it. */
  add(): void {
    const { connectionsMax } = this.#limits;
    if (this.#use.sum(totalSlot) >= connectionsMax) throw reached('connectionsMax', connectionsMax, 'this node proxy');
    this.checkDescriptors();
    this.#use.add(this.#threadId, totalSlot, 1);
  }

  /** The connection is one of this pod's. Throws LIMIT_REACHED when the pod has its share already. */
  bind(connection: Connection, pod: Workload, side: Side): void {
    const slot = slotOf(pod.uid, side);
    const { connectionsPerPodMax } = this.#limits;
    const used = this.#use.sum(slot);
    const who = `pod ${pod.namespace}/${pod.name} as ${side}`;
    if (used >= connectionsPerPodMax) throw reached('connectionsPerPodMax', connectionsPerPodMax, who);
    const allowed = this.#descriptorsAllowed();
    if (this.#descriptorsUsed > allowed * scarceShare && used > allowed / greedyShare) {
      throw reached('descriptorsMax', allowed, `${who}, which holds the most of them`);
    }
    this.unbind(connection, side);
    this.#use.add(this.#threadId, slot, 1);
    if (side === 'source') connection.sourceSlot = slot;
    else connection.destinationSlot = slot;
  }

  /** Takes `bind` back; no effect without one. */
  unbind(connection: Connection, side: Side): void {
    const slot = side === 'source' ? connection.sourceSlot : connection.destinationSlot;
    if (slot < 0) return;
    this.#use.add(this.#threadId, slot, -1);
    if (side === 'source') connection.sourceSlot = -1;
    else connection.destinationSlot = -1;
  }

  /** A connection that `add` counted has ended. */
  remove(connection: Connection): void {
    this.#use.add(this.#threadId, totalSlot, -1);
    this.unbind(connection, 'source');
    this.unbind(connection, 'destination');
  }

  #descriptorsAllowed(): number {
    return descriptorsFor(this.#limits.descriptorsMax, this.#descriptors.limit);
  }
}

function reached(limit: keyof AdmissionLimits, value: number, what: string): MeshError {
  return new MeshError('LIMIT_REACHED', { limit, value, what });
}
