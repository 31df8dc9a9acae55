// Who looked at what when it was compiled, so that a change finds who has to be compiled again.
import { MultiMap } from '../../base/multi-map.ts';

/** Units of compilation and the keys that they looked at. */
export class DependencyIndex {
  readonly #keysOf = new Map<string, ReadonlySet<string>>();
  readonly #unitsBy = new MultiMap<string, string>();

  /** Replaces what is noted of a unit; nothing forgets it. */
  set(unit: string, keys: ReadonlySet<string> | null): void {
    for (const key of this.#keysOf.get(unit) ?? []) this.#unitsBy.delete(key, unit);
    if (keys === null || keys.size === 0) {
      this.#keysOf.delete(unit);
      return;
    }
    this.#keysOf.set(unit, keys);
    for (const key of keys) this.#unitsBy.add(key, unit);
  }

  dependents(key: string): ReadonlySet<string> {
    return this.#unitsBy.get(key);
  }
}
