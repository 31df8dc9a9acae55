// The sample payment service: charges orders, and counts what it did, so that "no order is charged twice" can be seen
// from outside. It keeps the contract of the header `idempotency-key`
// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/): a key that it has charged already is
// answered as the first time, and not charged again. Without a key, every request that is worked on charges.

/** An order's header; the query parameter `order` is the other way to name it. */
export const orderHeader = 'x-order-id';
export const idempotencyHeader = 'idempotency-key';
/** Orders are remembered up to this many; beyond, only the sums go on. */
const ordersMax = 100_000;

export interface ChargeSums {
  /** Requests to charge that arrived. */
  readonly requests: number;
  /** Charges that were made. */
  readonly charges: number;
  readonly orders: number;
  /** Requests that were answered 503 before anything was charged, and after it was. */
  readonly failedBefore: number;
  readonly failedAfter: number;
  /** Requests whose key had been charged already: nothing was charged for them. */
  readonly replayed: number;
  /** Orders that were charged more than once. */
  readonly chargedTwice: readonly string[];
}

/** The books of one process. */
export class Orders {
  readonly #charges = new Map<string, number>();
  readonly #keys = new Set<string>();
  readonly #chargedTwice: string[] = [];
  #sums = { requests: 0, charges: 0, failedBefore: 0, failedAfter: 0, replayed: 0 };

  /** A request came that will be answered 503 without being worked on. */
  failBefore(): void {
    this.#sums.requests++;
    this.#sums.failedBefore++;
  }

  /** Works on a request; `failAfter`: it is answered 503 nevertheless. Returns whether it was charged just now. */
  charge(order: string, key: string | null, failAfter: boolean): boolean {
    this.#sums.requests++;
    if (failAfter) this.#sums.failedAfter++;
    if (key !== null && this.#keys.has(key)) {
      this.#sums.replayed++;
      return false;
    }
    this.#sums.charges++;
    if (this.#charges.size >= ordersMax) return true;
    if (key !== null) this.#keys.add(key);
    const times = (this.#charges.get(order) ?? 0) + 1;
    this.#charges.set(order, times);
    if (times === 2) this.#chargedTwice.push(order);
    return true;
  }

  sums(): ChargeSums {
    return { ...this.#sums, orders: this.#charges.size, chargedTwice: [...this.#chargedTwice] };
  }
}
