// Resources from files and folders, kept up to date while the files change. Only files that changed are read again; a
// file that breaks keeps what it said last, and says where it broke until it is repaired.
import { EventEmitter } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { MeshError, messageOf } from '../base/errors.ts';
import type { SourceView } from '../model/views.ts';
import type { Aside } from './aside.ts';
import { FolderWatch } from './folder-watch.ts';
import { isManifestName } from './load.ts';
import { isAside, ManifestFiles } from './manifest-files.ts';
import { readLeniently } from './manifests.ts';
import type { MeshSource, SourceEvents } from './mesh-source.ts';

const folderDepthMax = 16;
const filesAtOnceMax = 32;
const fileBytesMax = 16 * 1024 * 1024;

/** The resources under some paths, kept up to date. A file that cannot be read keeps what it said last. */
export class FolderSource extends EventEmitter<SourceEvents> implements MeshSource {
  readonly #paths: readonly string[];
  readonly #roots: readonly string[];
  readonly #watch: FolderWatch;
  readonly #files = new ManifestFiles();
  /** As a file was when it was last read, to see on a look at everything which were changed since. */
  readonly #stamps = new Map<string, string>();
  readonly #missingRoots = new Set<string>();
  #work: Promise<void> = Promise.resolve();
  #lastViews = '';
  #isClosed = false;

  constructor(paths: readonly string[]) {
    super();
    this.#paths = paths;
    this.#roots = paths.map((path) => resolve(path));
    this.#watch = new FolderWatch(this.#roots);
    this.#watch.on('paths', (paths) => this.#enqueue(paths));
  }

  /**
   * Reads everything, emits `changed` once, then watches. Broken files do not fail it; a path that is not there is
   * watched for.
   */
  async start(): Promise<void> {
    await this.#watch.start();
    this.#enqueue(new Set(this.#roots), true);
    await this.#work;
  }

  /** One view per path given. */
  views(): readonly SourceView[] {
    return this.#roots.map((root, at) => this.#viewOf(root, this.#paths[at]!));
  }

  /** All paths can be read, and every file under them. */
  get isComplete(): boolean {
    return this.views().every((view) => view.ok);
  }

  /** A path itself is not there, rather than a file in it broken. */
  get isWithholding(): boolean {
    return this.#missingRoots.size > 0;
  }

  /** The files are followed anyway. */
  followAside(changed: () => void): Aside {
    this.on('aside', changed);
    return {
      objects: () => readLeniently(this.#files.asideTexts()).unused.filter(({ kind }) => isAside(kind)),
      problems: () => [],
      close: () => this.off('aside', changed),
    };
  }

  /** Stops watching; idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#watch.close();
  }

  #enqueue(paths: ReadonlySet<string>, isFirst = false): void {
    this.#work = this.#work.then(() => (this.#isClosed ? undefined : this.#process(paths, isFirst)));
  }

  async #process(paths: ReadonlySet<string>, isFirst: boolean): Promise<void> {
    const found = new Map<string, string | null>();
    for (const path of paths) await this.#look(path, 0, paths, found);
    const texts = await this.#read(found);
    if (this.#isClosed) return;
    const asideBefore = this.#files.asideTexts();
    const change = this.#files.update(texts);
    if (!isDeepStrictEqual(this.#files.asideTexts(), asideBefore)) this.emit('aside');
    this.#watch.poll(this.#missingRoots.size > 0);
    if (isFirst || change.upserts.length > 0 || change.deletes.length > 0) this.emit('changed', change);
    const views = JSON.stringify(this.views());
    if (views !== this.#lastViews) {
      this.#lastViews = views;
      this.emit('status');
    }
  }

  /** Notes what has to be read under a path: files with their stamps, null for what is gone. */
  async #look(
    path: string,
    depth: number,
    asked: ReadonlySet<string>,
    found: Map<string, string | null>,
  ): Promise<void> {
    const isRoot = this.#roots.includes(path);
    const info = await stat(path).catch(() => null);
    if (isRoot && info === null) this.#missingRoots.add(path);
    else if (isRoot) this.#missingRoots.delete(path);
    if (info === null) this.#noteGone(path, found);
    else if (info.isFile() && (isRoot || isManifestName(path.slice(path.lastIndexOf('/') + 1)))) {
      const stamp = `${info.dev} ${info.ino} ${info.size} ${info.mtimeMs} ${info.ctimeMs}`;
      // An event means that the file was touched; a look at its folder does not.
      if (this.#stamps.get(path) !== stamp || asked.has(path)) found.set(path, stamp);
    } else if (info.isDirectory() && depth <= folderDepthMax) {
      await this.#watch.watchFolder(path);
      const names = (await readdir(path).catch(() => [])).filter((name) => !name.startsWith('.'));
      const children = new Set(names.map((name) => join(path, name)));
      for (const known of this.#stamps.keys()) {
        const child = known.startsWith(`${path}/`) ? join(path, known.slice(path.length + 1).split('/', 1)[0]!) : null;
        if (child !== null && !children.has(child)) this.#noteGone(child, found);
      }
      for (const child of [...children].sort()) await this.#look(child, depth + 1, asked, found);
    }
  }

  #noteGone(path: string, found: Map<string, string | null>): void {
    this.#watch.forgetFolder(path);
    for (const known of this.#stamps.keys()) {
      if (known === path || known.startsWith(`${path}/`)) found.set(known, null);
    }
  }

  async #read(found: ReadonlyMap<string, string | null>): Promise<Map<string, string | MeshError | null>> {
    const texts = new Map<string, string | MeshError | null>();
    const left = [...found];
    const readSome = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [path, stamp] = next;
        if (stamp === null) {
          texts.set(path, null);
          this.#stamps.delete(path);
        } else {
          const text = await readText(path);
          texts.set(path, text);
          if (text === null) this.#stamps.delete(path);
          else this.#stamps.set(path, stamp);
        }
      }
    };
    await Promise.all(Array.from({ length: filesAtOnceMax }, readSome));
    return texts;
  }

  #viewOf(root: string, path: string): SourceView {
    const counts = new Map<string, number>();
    let error = this.#missingRoots.has(root) ? notThere(path) : null;
    for (const file of this.#files.paths()) {
      if (file !== root && !file.startsWith(`${root}/`)) continue;
      const state = this.#files.state(file)!;
      error ??= state.error;
      for (const { kind, count } of state.ignored) counts.set(kind, (counts.get(kind) ?? 0) + count);
    }
    const ignored = [...counts].map(([kind, count]) => ({ kind, count }));
    return { path, ok: error === null, error, ignored };
  }
}

async function readText(path: string): Promise<string | MeshError | null> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= fileBytesMax) return bytes.toString('utf8');
    return new MeshError('LIMIT_REACHED', { limit: 'fileBytesMax', value: fileBytesMax, what: path });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    return new MeshError('INPUT_UNREADABLE', { place: path, reason: messageOf(error) }, { cause: error });
  }
}

function notThere(path: string): NonNullable<SourceView['error']> {
  return { file: path, line: 1, column: 1, message: 'is not there yet; it is read as soon as it is' };
}
