// A map from a key to a set of values, which forgets a key with its last value. The plain tool for secondary indices.

/** Values by key; each value once per key. */
export class MultiMap<Key, Value> {
  readonly #sets = new Map<Key, Set<Value>>();

  add(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key);
  }

  /** The values of a key, in the order they came; empty when there are none. */
  get(key: Key): ReadonlySet<Value> {
    return this.#sets.get(key) ?? (none as ReadonlySet<Value>);
  }

  has(key: Key): boolean {
    return this.#sets.has(key);
  }

  keys(): IterableIterator<Key> {
    return this.#sets.keys();
  }
}

const none: ReadonlySet<never> = new Set();
