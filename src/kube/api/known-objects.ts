// What has been told of a kind's objects, in short: enough to see whether a list or an event says anything new. A
// heartbeat, a status that nobody reads, or a list that is read again, does not.
import { hash } from 'node:crypto';
import type { KubeObject } from './prune.ts';

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** Pruned objects that are new or differ, and names of those that went; no object is in both. */
export interface ObjectChange {
  readonly upserts: readonly KubeObject[];
  readonly deletes: readonly ObjectName[];
}

/** Takes pruned objects in, and says at the end what they change. Nothing is noted before. */
export interface Pass {
  add(object: KubeObject): void;
  delete(object: KubeObject): void;
  end(): ObjectChange;
}

type Found = { readonly object: KubeObject; readonly digest: string };

/** The objects of one kind, by namespace and name. */
export class KnownObjects {
  readonly #kind: string;
  readonly #digests = new Map<string, string>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#digests.size;
  }

  /** For all there is: what is not added is gone. */
  beginList(apiVersion: string): Pass {
    const seen = new Set<string>();
    const pass = this.#begin(apiVersion, seen);
    return {
      ...pass,
      end: () => {
        for (const key of this.#digests.keys()) if (!seen.has(key)) pass.gone(key);
        return pass.end();
      },
    };
  }

  /** For a part of what happens. */
  beginEvents(apiVersion: string): Pass {
    return this.#begin(apiVersion, null);
  }

  /** Forgets everything; returns what was known. */
  clear(): ObjectName[] {
    const names = [...this.#digests.keys()].map(nameOf);
    this.#digests.clear();
    return names;
  }

  #begin(apiVersion: string, seen: Set<string> | null): Pass & { gone(key: string): void } {
    const found = new Map<string, Found | null>();
    const gone = (key: string): void => {
      if (this.#digests.has(key)) found.set(key, null);
      else found.delete(key);
    };
    return {
      gone,
      add: (object) => {
        const key = keyOf(object);
        seen?.add(key);
        const titled = { apiVersion, kind: this.#kind, ...object };
        const digest = digestOf(titled);
        if (this.#digests.get(key) === digest) found.delete(key);
        else found.set(key, { object: titled, digest });
      },
      delete: (object) => gone(keyOf(object)),
      end: () => this.#commit(found),
    };
  }

  #commit(found: ReadonlyMap<string, Found | null>): ObjectChange {
    const upserts: KubeObject[] = [];
    const deletes: ObjectName[] = [];
    for (const [key, one] of found) {
      if (one === null) {
        this.#digests.delete(key);
        deletes.push(nameOf(key));
      } else {
        this.#digests.set(key, one.digest);
        upserts.push(one.object);
      }
    }
    return { upserts, deletes };
  }
}

function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}

function nameOf(key: string): ObjectName {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Of everything but the version, which is another one after each write. */
function digestOf(object: KubeObject): string {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return hash('sha1', JSON.stringify({ ...object, metadata }), 'base64');
}
