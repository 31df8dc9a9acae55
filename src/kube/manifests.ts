// From text to resources: multi-document YAML, `List`s and JSON, every complaint with its place.
import { MeshError } from '../base/errors.ts';
import type { Resource } from '../model/resources.ts';

export interface ManifestSet {
  readonly resources: readonly Resource[];
  /** Kinds that were read and are not used. */
  readonly ignored: readonly { readonly kind: string; readonly count: number }[];
}

export interface ManifestText {
  readonly text: string;
  readonly file: string;
}

/**
 * Reads manifests; an object without a namespace is in `default`.
 * @throws MeshError INPUT_UNREADABLE or CONFIG_INVALID with file, line and column in `details`, also for an object that occurs twice.
 */
export function readManifests(_texts: readonly ManifestText[]): ManifestSet {
  throw new MeshError('INTERNAL', { reason: 'manifests are not read yet' });
}
