// Tells which paths under some files and folders may have changed. One inotify watch per folder; symbolic links are
// followed, and their swapping is noticed. What a watch can miss, a slow look at everything catches. Knows nothing of
// what is in files.
import { EventEmitter } from 'node:events';
import { type FSWatcher, watch } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Quiet time after the last event before paths are reported: writers that do not rename get to finish. */
const quietMs = 25;
/** The longest that a steady stream of events delays a report. */
const reportDelayMaxMs = 150;
/** How often everything is looked at anew: always, and when a path is missing or cannot be watched. */
const resyncMs = 30_000;
const pollMs = 400;

export interface FolderWatchEvents {
  /** Paths to look at: a file, a folder with all below it, or something that is gone. */
  paths: [ReadonlySet<string>];
}

/** Watches folders that it is told of; the paths it reports begin as those it was given. */
export class FolderWatch extends EventEmitter<FolderWatchEvents> {
  readonly #roots: readonly string[];
  readonly #folders = new Map<string, { readonly watcher: FSWatcher; readonly real: string }>();
  readonly #dirty = new Set<string>();
  #reportTimer: NodeJS.Timeout | null = null;
  #firstEventAtMs = 0;
  #resyncTimer: NodeJS.Timeout | null = null;
  /** A path is missing, or a folder cannot be watched (inotify has limits): look often instead. */
  #isPathMissing = false;
  #isWatchLost = false;
  #isClosed = false;

  constructor(roots: readonly string[]) {
    super();
    this.#roots = roots;
  }

  /** Watches the folders in which the roots themselves stand, and begins to look at everything from time to time. */
  async start(): Promise<void> {
    await this.#watchParents();
    this.#scheduleResync();
  }

  /** Watches a folder; `only` restricts it to some names. Watching it again is free unless it became another folder. */
  async watchFolder(folder: string, only: ReadonlySet<string> | null = null): Promise<void> {
    const key = only === null ? folder : `${folder}\n${[...only].join('\n')}`;
    const real = await realpath(folder).catch(() => null);
    if (this.#isClosed || this.#folders.get(key)?.real === real) return;
    this.#folders.get(key)?.watcher.close();
    this.#folders.delete(key);
    if (real === null) return;
    try {
      const watcher = watch(real, (_event, name) => this.#note(folder, name, only));
      watcher.on('error', () => {
        watcher.close();
        this.#folders.delete(key);
        this.#loseWatch();
      });
      this.#folders.set(key, { watcher, real });
    } catch {
      this.#loseWatch();
    }
  }

  /** Stops watching a folder and those below it. */
  forgetFolder(folder: string): void {
    for (const [key, { watcher }] of this.#folders) {
      if (key !== folder && !key.startsWith(`${folder}/`)) continue;
      watcher.close();
      this.#folders.delete(key);
    }
  }

  /** While true, everything is looked at several times a second. */
  poll(isNeeded: boolean): void {
    if (this.#isPathMissing === isNeeded) return;
    this.#isPathMissing = isNeeded;
    this.#scheduleResync();
  }

  close(): void {
    this.#isClosed = true;
    for (const { watcher } of this.#folders.values()) watcher.close();
    this.#folders.clear();
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    if (this.#resyncTimer !== null) clearTimeout(this.#resyncTimer);
  }

  #loseWatch(): void {
    if (this.#isWatchLost) return;
    this.#isWatchLost = true;
    this.#scheduleResync();
  }

  async #watchParents(): Promise<void> {
    for (const root of this.#roots) await this.watchFolder(dirname(root), new Set([basename(root)]));
  }

  #note(folder: string, name: string | null, only: ReadonlySet<string> | null): void {
    // Kubernetes swaps mounted files by a link called `..data` beside them: each of them may be another one now.
    if (name === null || name.startsWith('..')) {
      if (only === null) this.#dirty.add(folder);
      else for (const one of only) this.#dirty.add(join(folder, one));
    } else if (only !== null ? only.has(name) : !name.startsWith('.')) this.#dirty.add(join(folder, name));
    else return;
    this.#scheduleReport();
  }

  #scheduleReport(): void {
    const nowMs = performance.now();
    if (this.#reportTimer === null) this.#firstEventAtMs = nowMs;
    else clearTimeout(this.#reportTimer);
    const leftMs = this.#firstEventAtMs + reportDelayMaxMs - nowMs;
    this.#reportTimer = setTimeout(() => this.#report(), Math.max(0, Math.min(quietMs, leftMs)));
  }

  #report(): void {
    this.#reportTimer = null;
    const paths = new Set(this.#dirty);
    this.#dirty.clear();
    this.emit('paths', paths);
  }

  #scheduleResync(): void {
    if (this.#resyncTimer !== null) clearTimeout(this.#resyncTimer);
    if (this.#isClosed) return;
    const resync = async (): Promise<void> => {
      await this.#watchParents();
      if (this.#isClosed) return;
      for (const root of this.#roots) this.#dirty.add(root);
      this.#report();
      this.#scheduleResync();
    };
    this.#resyncTimer = setTimeout(resync, this.#isPathMissing || this.#isWatchLost ? pollMs : resyncMs);
  }
}
