// Manifests from files, folders and standard input.
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { MeshError, messageOf } from '../base/errors.ts';
import { type ManifestSet, type ManifestText, readManifests } from './manifests.ts';

const extensions = new Set(['.yaml', '.yml', '.json']);
const folderDepthMax = 16;

/**
 * Reads every path: a file, a folder with all its .yaml, .yml and .json files, or `-` for standard input.
 * @throws MeshError INPUT_UNREADABLE for what is not there or is no YAML, CONFIG_INVALID for what is no manifest.
 */
export async function loadManifests(paths: readonly string[]): Promise<ManifestSet> {
  return readManifests(await loadTexts(paths));
}

/**
 * The texts of every path, as `loadManifests` finds them.
 * @throws MeshError INPUT_UNREADABLE for what is not there.
 */
export async function loadTexts(paths: readonly string[]): Promise<ManifestText[]> {
  const texts: ManifestText[] = [];
  for (const path of paths) {
    if (path === '-') texts.push({ text: await readText(process.stdin), file: '-' });
    else for (const file of await manifestFiles(path)) texts.push({ text: await readInput(file), file });
  }
  return texts;
}

/**
 * The file itself, or the manifest files under a folder in the order of their names. Names that begin with a dot are
 * left out.
 * @throws MeshError INPUT_UNREADABLE when the path is not there.
 */
export async function manifestFiles(path: string): Promise<string[]> {
  try {
    const found = await stat(path);
    return found.isDirectory() ? await filesUnder(path, 0) : [path];
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** True for a file that counts as a manifest inside a folder. */
export function isManifestName(name: string): boolean {
  return !name.startsWith('.') && extensions.has(extname(name));
}

async function filesUnder(folder: string, depth: number): Promise<string[]> {
  if (depth > folderDepthMax) return [];
  const files: string[] = [];
  const names = await readdir(folder);
  for (const name of names.sort()) {
    if (name.startsWith('.')) continue;
    const path = join(folder, name);
    // Follows symbolic links, as mounted ConfigMaps consist of them; one that leads nowhere is passed over.
    const found = await stat(path).catch(() => null);
    if (found?.isDirectory()) files.push(...(await filesUnder(path, depth + 1)));
    else if (found?.isFile() && isManifestName(name)) files.push(path);
  }
  return files;
}

async function readInput(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(path: string, error: unknown): MeshError {
  return new MeshError('INPUT_UNREADABLE', { place: path, reason: messageOf(error) }, { cause: error });
}
