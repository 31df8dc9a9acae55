// From manifest texts to the lab's objects: checked by the mesh's own reader, and taken whole, since the lab runs more
// of them than the mesh reads.
import { placedError, readYaml } from '../config/yaml.ts';
import { readManifests } from '../kube/manifests.ts';
import type { Resource } from '../model/resources.ts';
import type { SourcePlace } from '../model/types.ts';
import type { LabDocument } from './control-types.ts';
import { isNamespaced, type KubeObject } from './objects.ts';

export interface PlacedObject {
  readonly object: KubeObject;
  readonly place: SourcePlace | null;
}

export interface ReadResult {
  readonly objects: readonly PlacedObject[];
  /** The same objects as the mesh reads them; kinds that it does not know are not among them. */
  readonly resources: readonly Resource[];
}

/**
 * Reads manifests. Throws `INPUT_UNREADABLE` or `CONFIG_INVALID` with file, line and column: all of it is good, or
 * none.
 */
export function readLabManifests(documents: readonly LabDocument[]): ReadResult {
  const objects = documents.flatMap((document) => readObjects(document));
  const { resources } = readManifests(documents);
  return { objects, resources };
}

function readObjects({ file, text }: LabDocument): PlacedObject[] {
  return readYaml(text, file).flatMap((document) => {
    const value = document.value as Partial<KubeObject> & { items?: unknown };
    if (value.kind?.endsWith('List') === true && Array.isArray(value.items)) {
      return value.items.map((item, index) => placed(item, document.place(['items', index])));
    }
    return [placed(value, document.place())];
  });
}

function placed(value: unknown, place: SourcePlace): PlacedObject {
  const object = value as Partial<KubeObject> | null;
  const name = object?.metadata?.name;
  if (typeof object?.apiVersion !== 'string' || typeof object.kind !== 'string' || typeof name !== 'string') {
    throw placedError('CONFIG_INVALID', place, 'a Kubernetes object has apiVersion, kind and metadata.name');
  }
  const namespace = isNamespaced(object.kind) ? (object.metadata?.namespace ?? 'default') : undefined;
  const { namespace: _, ...metadata } = object.metadata as KubeObject['metadata'];
  const whole = { ...object, metadata: { ...metadata, ...(namespace === undefined ? {} : { namespace }) } };
  return { object: whole as KubeObject, place };
}
