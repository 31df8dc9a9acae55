// Manifests from files, folders and standard input.
import { MeshError } from '../base/errors.ts';
import type { ManifestSet } from './manifests.ts';

/**
 * Reads every path: a file, a folder with all its .yaml, .yml and .json files, or `-` for standard input.
 * @throws MeshError INPUT_UNREADABLE for what is not there or is no YAML, CONFIG_INVALID for what is no manifest.
 */
export async function loadManifests(_paths: readonly string[]): Promise<ManifestSet> {
  throw new MeshError('INTERNAL', { reason: 'manifests are not loaded yet' });
}
