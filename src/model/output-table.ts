// What the compiler has made of one kind of thing, and what of it changed since it was last asked.
import { isDeepStrictEqual } from 'node:util';

/** Values by resource name. Setting a value equal to the present one changes nothing. */
export class OutputTable<Value> {
  readonly #values = new Map<string, Value>();
  readonly #changed = new Set<string>();
  readonly #removed = new Set<string>();

  get(name: string): Value | undefined {
    return this.#values.get(name);
  }

  values(): IterableIterator<Value> {
    return this.#values.values();
  }

  set(name: string, value: Value | null): void {
    const before = this.#values.get(name);
    if (value === null) {
      if (!this.#values.delete(name)) return;
      this.#changed.delete(name);
      this.#removed.add(name);
    } else if (before === undefined || !isDeepStrictEqual(before, value)) {
      this.#values.set(name, value);
      this.#changed.add(name);
      this.#removed.delete(name);
    }
  }

  /** What changed since the last call. */
  take(): { readonly changed: readonly Value[]; readonly removed: readonly string[] } {
    const changed = [...this.#changed].map((name) => this.#values.get(name)!);
    const removed = [...this.#removed];
    this.#changed.clear();
    this.#removed.clear();
    return { changed, removed };
  }
}
