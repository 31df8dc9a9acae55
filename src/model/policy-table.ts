// Policies by key and by scope, and which of them judge a workload. Part of the mesh index.
import { isDeepStrictEqual } from 'node:util';
import type { EffectivePolicies } from './mesh-index.ts';
import type { MeshUpdate, NamespacedKey, Policy, Workload } from './types.ts';

/** Holds policies; the answer for a workload is computed once and kept until a policy changes. */
export class PolicyTable {
  readonly #byKey = new Map<NamespacedKey, Policy>();
  /** Mesh-wide ones under '', namespace-wide ones under their namespace; in the order of their names. */
  #byScope = new Map<string, Policy[]>();
  #effective = new WeakMap<Workload, EffectivePolicies>();

  /** Takes the policies of an update in; true when anything changed. */
  apply(update: MeshUpdate): boolean {
    let isChanged = false;
    for (const policy of update.policies) {
      const key = policyKey(policy);
      if (isDeepStrictEqual(this.#byKey.get(key), policy)) continue;
      this.#byKey.set(key, policy);
      isChanged = true;
    }
    const named = new Set(update.policies.map(policyKey));
    const gone = update.complete ? [...this.#byKey.keys()].filter((key) => !named.has(key)) : update.removedPolicies;
    for (const key of gone) isChanged = this.#byKey.delete(key) || isChanged;
    if (isChanged) this.#rebuild();
    return isChanged;
  }

  effectiveFor(workload: Workload): EffectivePolicies {
    const known = this.#effective.get(workload);
    if (known !== undefined) return known;
    const policies = [...(this.#byScope.get('') ?? []), ...(this.#byScope.get(workload.namespace) ?? [])];
    const missing: NamespacedKey[] = [];
    for (const key of workload.policies) {
      const policy = this.#byKey.get(key);
      if (policy === undefined) missing.push(key);
      else if (!policies.includes(policy)) policies.push(policy);
    }
    const effective = { policies, missing };
    this.#effective.set(workload, effective);
    return effective;
  }

  values(): IterableIterator<Policy> {
    return this.#byKey.values();
  }

  #rebuild(): void {
    this.#byScope = new Map();
    this.#effective = new WeakMap();
    for (const key of [...this.#byKey.keys()].sort()) {
      const policy = this.#byKey.get(key)!;
      if (policy.scope === 'workload') continue;
      const scope = policy.scope === 'global' ? '' : policy.namespace;
      const there = this.#byScope.get(scope);
      if (there === undefined) this.#byScope.set(scope, [policy]);
      else there.push(policy);
    }
  }
}

/** `NAMESPACE/NAME`, the resource name of a policy. */
export function policyKey(policy: { readonly namespace: string; readonly name: string }): NamespacedKey {
  return `${policy.namespace}/${policy.name}`;
}
