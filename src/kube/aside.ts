// What is followed for the linter alone, while somebody looks at what it says: NetworkPolicies, of which nothing is
// compiled. Neither their absence nor a refusal is a matter of the mesh.
import type { ApiClient } from './api/api-client.ts';
import { asideKinds } from './api/kinds.ts';
import { Reflector, type ReflectorTimes } from './api/reflector.ts';
import { readAside } from './kube-object.ts';
import type { UnusedObject } from './manifests.ts';

/** Objects that are followed until `close`. */
export interface Aside {
  /** Those that are there now. */
  objects(): readonly UnusedObject[];
  /** What could not be looked at, in words. */
  problems(): readonly string[];
  /** Idempotent. */
  close(): void;
}

export interface ClusterAsideOptions {
  readonly client: ApiClient;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly times: Partial<ReflectorTimes>;
  /** Called when there are others, or others can be looked at. */
  readonly changed: () => void;
}

/** Lists and watches `asideKinds` of a cluster from the beginning. */
export class ClusterAside implements Aside {
  readonly #reflectors: readonly Reflector[];
  readonly #objects = new Map<string, UnusedObject>();

  constructor({ client, random, times, changed }: ClusterAsideOptions) {
    this.#reflectors = asideKinds.map((kind) => {
      const reflector = new Reflector({ client, kind, random, times });
      const keyOf = (namespace: string, name: string): string => `${kind.kind}/${namespace}/${name}`;
      reflector.on('changed', ({ upserts, deletes }) => {
        for (const { namespace, name } of deletes) this.#objects.delete(keyOf(namespace, name));
        for (const object of upserts) {
          const read = readAside(object);
          this.#objects.set(keyOf(read.namespace, read.name), read);
        }
        changed();
      });
      reflector.on('state', changed);
      reflector.start();
      return reflector;
    });
  }

  objects(): readonly UnusedObject[] {
    return [...this.#objects.values()];
  }

  problems(): readonly string[] {
    return this.#reflectors.flatMap(({ kind: { kind }, state: { problem } }) =>
      problem === '' ? [] : [`${kind} objects were not looked at: ${problem}`],
    );
  }

  close(): void {
    for (const reflector of this.#reflectors) void reflector.close();
  }
}
