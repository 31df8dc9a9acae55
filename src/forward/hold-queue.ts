// Connections that wait for the mesh to know an address: a pod's first SYN may be faster than the news of the pod.
// Bounded in number and in time; nothing is sent anywhere while a connection is held.
import { MeshError } from '../base/errors.ts';

/** Read at every hold: the object may change them. */
export interface HoldLimits {
  readonly heldConnectionsMax: number;
  readonly holdMs: number;
}

/** One source may have a quarter of the places: a pod that asks for everything leaves room for its neighbours. */
const sourceShare = 4;

interface Held {
  readonly address: string;
  readonly source: string;
  readonly done: (known: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

/** What is held on one data thread, by the address it waits for. */
export class HoldQueue {
  readonly #limits: HoldLimits;
  readonly #byAddress = new Map<string, Set<Held>>();
  readonly #bySource = new Map<string, number>();
  #size = 0;

  constructor(limits: HoldLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Calls `done` once: with true when `address` was named by an update of the mesh, with false after `holdMs`. `source`
   * is the address of who waits. Returns a function that gives up waiting. Throws LIMIT_REACHED when too many are held
   * already, or too many of this source.
   */
  hold(address: string, source: string, done: (known: boolean) => void): () => void {
    const { heldConnectionsMax, holdMs } = this.#limits;
    const ofSource = this.#bySource.get(source) ?? 0;
    const sourceMax = Math.ceil(heldConnectionsMax / sourceShare);
    const limit = 'heldConnectionsMax';
    if (this.#size >= heldConnectionsMax) {
      const what = 'connections that wait for the mesh';
      throw new MeshError('LIMIT_REACHED', { limit, value: heldConnectionsMax, what });
    }
    if (ofSource >= sourceMax) {
      const what = `connections of ${source} that wait for the mesh`;
      throw new MeshError('LIMIT_REACHED', { limit, value: sourceMax, what });
    }
    this.#bySource.set(source, ofSource + 1);
    const held: Held = { address, source, done, timer: setTimeout(() => this.#release(held, false), holdMs) };
    const others = this.#byAddress.get(address);
    if (others === undefined) this.#byAddress.set(address, new Set([held]));
    else others.add(held);
    this.#size++;
    return () => {
      this.#forget(held);
    };
  }

  /** The mesh has news of `address`. */
  arrived(address: string): void {
    const waiting = this.#byAddress.get(address);
    if (waiting === undefined) return;
    for (const held of [...waiting]) this.#release(held, true);
  }

  /** Gives all up, as if their time had passed. */
  close(): void {
    for (const waiting of [...this.#byAddress.values()]) for (const held of [...waiting]) this.#release(held, false);
  }

  #release(held: Held, known: boolean): void {
    if (this.#forget(held)) held.done(known);
  }

  #forget(held: Held): boolean {
    const waiting = this.#byAddress.get(held.address);
    if (waiting === undefined || !waiting.delete(held)) return false;
    if (waiting.size === 0) this.#byAddress.delete(held.address);
    clearTimeout(held.timer);
    this.#size--;
    const left = (this.#bySource.get(held.source) ?? 1) - 1;
    if (left === 0) this.#bySource.delete(held.source);
    else this.#bySource.set(held.source, left);
    return true;
  }
}
