// What each manifest file says, and which file has the say about each object. A file that cannot be read, or that names
// an object of another file, keeps what it said last. Pure: texts come in, changes go out.
import { MeshError } from '../base/errors.ts';
import { placeOf } from '../config/yaml.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { SourceView } from '../model/views.ts';
import { asideKinds } from './api/kinds.ts';
import { duplicateError, type ManifestText, readManifests } from './manifests.ts';
import type { SourceChange } from './mesh-source.ts';

export type SourceError = NonNullable<SourceView['error']>;

interface FileState {
  /** As it was last looked at, whether it could be read or not. */
  text: string | null;
  /** By key; what the file said when it could last be read. */
  resources: ReadonlyMap<string, Resource>;
  ignored: SourceView['ignored'];
  error: SourceError | null;
  /** True when it would be taken but for an object that another file has. */
  isWaiting: boolean;
}

interface Candidate {
  readonly path: string;
  readonly resources: ReadonlyMap<string, Resource>;
  readonly ignored: SourceView['ignored'];
}

/** The files of a source by path. */
export class ManifestFiles {
  readonly #files = new Map<string, FileState>();
  readonly #owners = new Map<string, string>();

  paths(): IterableIterator<string> {
    return this.#files.keys();
  }

  state(path: string): { readonly error: SourceError | null; readonly ignored: SourceView['ignored'] } | null {
    return this.#files.get(path) ?? null;
  }

  /** Those that have objects which nothing is compiled from and the linter looks at. */
  asideTexts(): readonly ManifestText[] {
    return [...this.#files].flatMap(([file, { text, ignored }]) =>
      text !== null && ignored.some(({ kind }) => isAside(kind)) ? [{ text, file }] : [],
    );
  }

  /**
   * Takes new texts in, null for a file that is gone, or an error for one that cannot be read.
   * Files that stand refused because of an object of another file are looked at again.
   */
  update(texts: ReadonlyMap<string, string | MeshError | null>): SourceChange {
    const before = new Map<string, Resource>();
    const candidates: Candidate[] = [];
    for (const [path, text] of texts) {
      if (text === null) this.#forget(path, before);
      else this.#look(path, text, candidates);
    }
    for (const [path, file] of this.#files) {
      if (file.isWaiting && file.text !== null && !texts.has(path)) this.#look(path, file.text, candidates);
    }
    const admitted = this.#admit(candidates);
    for (const { path } of admitted) this.#release(path, before);
    const upserts: Resource[] = [];
    for (const { path, resources, ignored } of admitted) {
      const file = this.#files.get(path)!;
      file.resources = resources;
      file.ignored = ignored;
      file.error = null;
      file.isWaiting = false;
      for (const [key, resource] of resources) {
        this.#owners.set(key, path);
        upserts.push(resource);
      }
    }
    const gone = [...before].filter(([key]) => !this.#owners.has(key));
    const deletes = gone.map(([, { kind, namespace, name }]) => ({ kind, namespace, name }));
    return { upserts, deletes };
  }

  #forget(path: string, before: Map<string, Resource>): void {
    this.#release(path, before);
    this.#files.delete(path);
  }

  #release(path: string, before: Map<string, Resource>): void {
    for (const [key, resource] of this.#files.get(path)?.resources ?? []) {
      before.set(key, resource);
      if (this.#owners.get(key) === path) this.#owners.delete(key);
    }
  }

  #look(path: string, text: string | MeshError, candidates: Candidate[]): void {
    const file = this.#files.get(path) ?? newFile();
    this.#files.set(path, file);
    if (text instanceof MeshError) {
      file.error = errorOf(text, path);
      return;
    }
    if (text === file.text && file.error === null) return;
    file.text = text;
    file.isWaiting = false;
    try {
      const { resources, ignored } = readManifests([{ text, file: path }]);
      candidates.push({ path, ignored, resources: new Map(resources.map((one) => [resourceKey(one), one])) });
    } catch (error) {
      file.error = errorOf(MeshError.from(error), path);
    }
  }

  /** The candidates that can be taken together: no object is in two files. The others are marked as broken. */
  #admit(candidates: readonly Candidate[]): readonly Candidate[] {
    let admitted = [...candidates].sort((a, b) => (a.path < b.path ? -1 : 1));
    for (;;) {
      const refused = this.#firstConflict(admitted);
      if (refused === null) return admitted;
      admitted = admitted.filter((one) => one.path !== refused);
    }
  }

  /** The path of a candidate that names an object of another file; its state says so. */
  #firstConflict(candidates: readonly Candidate[]): string | null {
    const claimed = new Map<string, Resource>();
    const moving = new Set(candidates.map((one) => one.path));
    for (const { path, resources } of candidates) {
      for (const [key, resource] of resources) {
        const owner = this.#owners.get(key);
        const isHeld = owner !== undefined && owner !== path && !moving.has(owner);
        const other = claimed.get(key) ?? (isHeld ? this.#files.get(owner)?.resources.get(key) : undefined);
        if (other !== undefined) {
          const file = this.#files.get(path)!;
          file.error = errorOf(duplicateError(resource, other), path);
          file.isWaiting = true;
          return path;
        }
        claimed.set(key, resource);
      }
    }
    return null;
  }
}

/** Of `asideKinds`. */
export function isAside(kind: string): boolean {
  return asideKinds.some((one) => one.kind === kind);
}

function newFile(): FileState {
  return { text: null, resources: new Map(), ignored: [], error: null, isWaiting: false };
}

function errorOf(error: MeshError, path: string): SourceError {
  const place = placeOf(error) ?? { file: path, line: 1, column: 1 };
  const reason = error.details['reason'];
  return { ...place, message: typeof reason === 'string' ? reason : error.message };
}
