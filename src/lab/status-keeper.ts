// The `status` that the lab's API server shows for routes and policies: conditions as the compiler has them, each with
// the time of its last change.
import type { Condition, ObjectStatus } from '../model/conditions.ts';
import { resourceKey } from '../model/resources.ts';

type ShownCondition = Omit<Condition, 'observedGeneration'> & {
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
};

/** `status` of an object in YAML: `conditions` of the object itself, or `parents` with theirs. */
export interface ShownStatus {
  readonly conditions?: readonly ShownCondition[];
  readonly parents?: readonly unknown[];
  readonly addresses?: ObjectStatus['addresses'] & {};
}

/** Remembers since when conditions are as they are. */
export class StatusKeeper {
  #shown = new Map<string, ShownStatus>();
  #since = new Map<string, { readonly status: string; readonly time: string }>();

  /** Takes the statuses of all objects; `time` is RFC 3339. */
  update(statuses: Iterable<ObjectStatus>, time: string): void {
    const shown = new Map<string, ShownStatus>();
    const since = new Map<string, { readonly status: string; readonly time: string }>();
    const conditions = (key: string, list: readonly Condition[]): ShownCondition[] =>
      list.map(({ observedGeneration, ...condition }) => {
        const id = `${key} ${condition.type}`;
        const before = this.#since.get(id);
        const entry = before?.status === condition.status ? before : { status: condition.status, time };
        since.set(id, entry);
        const generation = observedGeneration === null ? {} : { observedGeneration };
        return { ...condition, ...generation, lastTransitionTime: entry.time };
      });
    for (const status of statuses) {
      const key = resourceKey(status);
      const parents = status.parents.map((parent) => ({
        ...parent,
        conditions: conditions(`${key} ${JSON.stringify(parent.parentRef)}`, parent.conditions),
      }));
      const own = conditions(key, status.conditions);
      const { addresses = [] } = status;
      shown.set(key, {
        ...(addresses.length > 0 ? { addresses } : {}),
        ...(own.length > 0 ? { conditions: own } : {}),
        ...(parents.length > 0 ? { parents } : {}),
      });
    }
    this.#shown = shown;
    this.#since = since;
  }

  /** Null for an object without conditions. */
  statusOf(kind: string, namespace: string, name: string): ShownStatus | null {
    return this.#shown.get(resourceKey({ kind, namespace, name })) ?? null;
  }
}
