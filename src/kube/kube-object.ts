// From an object of the API server to a resource. It stands in no file: its place is its kind and name, with the
// generation that a condition in its status speaks of.
import type { YamlDocument } from '../config/yaml.ts';
import { pathText, type Resource, type ResourcePath, type SourcePlaces } from '../model/resources.ts';
import type { SourcePlace } from '../model/types.ts';
import type { KubeObject } from './api/prune.ts';
import { readObject, type UnusedObject } from './manifests.ts';
import { isMapping } from './object-reader.ts';

/**
 * The resource of a pruned object. Of the object itself it keeps the metadata that say which one it was.
 * @throws MeshError CONFIG_INVALID with the place of what is wrong.
 */
export function readKubeObject(object: KubeObject): Resource {
  const place = new ObjectPlace(object);
  const resource = readObject(place, object);
  const { name, namespace, uid, resourceVersion, generation } = object.metadata;
  return { ...resource, places: place, raw: { metadata: { name, namespace, uid, resourceVersion, generation } } };
}

/** An object that nothing is compiled from, pruned or not. */
export function readAside(object: KubeObject): UnusedObject {
  const { namespace = '', name } = object.metadata;
  return { kind: object.kind ?? '', namespace, name, object, places: new ObjectPlace(object) };
}

/**
 * What stands for an object that restricts somebody and cannot be read: it restricts as much as it could. Null for one
 * of another kind. An AuthorizationPolicy refuses everything that it selects, a PeerAuthentication plaintext to it;
 * where the selection is what cannot be read, in its whole namespace.
 */
export function standInFor(object: KubeObject): Resource | null {
  const strictest =
    object.kind === 'AuthorizationPolicy'
      ? { action: 'DENY', rules: [{}] }
      : object.kind === 'PeerAuthentication'
        ? { mtls: { mode: 'STRICT' } }
        : null;
  if (strictest === null) return null;
  const spec = isMapping(object['spec']) ? object['spec'] : {};
  const { selector, targetRef, targetRefs } = spec;
  const given = Object.entries({ selector, targetRef, targetRefs }).filter(([, value]) => value !== undefined);
  for (const selection of [Object.fromEntries(given), {}]) {
    try {
      return readKubeObject({ ...object, spec: { ...selection, ...strictest } });
    } catch {
      // The selection was what is wrong.
    }
  }
  return null;
}

class ObjectPlace implements YamlDocument, SourcePlaces {
  /** Not kept: who needs it has it. */
  readonly value = null;
  readonly #title: string;

  constructor({ kind = '', metadata: { namespace, name, generation } }: KubeObject) {
    const revision = generation === undefined ? '' : `, generation ${generation}`;
    this.#title = `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}${revision}`;
  }

  get object(): SourcePlace {
    return this.place();
  }

  at(path: ResourcePath): SourcePlace {
    return { ...this.place(), file: `${this.#title}: ${pathText(path)}` };
  }

  /** Readers say the path themselves. */
  place(): SourcePlace {
    return { file: this.#title, line: 0, column: 0 };
  }

  keyPlace(): SourcePlace {
    return this.place();
  }
}
