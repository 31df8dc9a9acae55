// Files that survive a restart: written whole under another name and renamed, with a version and a digest, so that a
// crash in the middle of a write, or a half-written disk, never yields half a state.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';

/** A state that was written by another layout is not used. */
const layoutVersion = 1;
/** File system types that live in memory only: tmpfs, ramfs. */
const memoryTypes: readonly number[] = [0x01021994, 0x858458f6];

const noDigest = '0'.repeat(64);
const itemsPerPiece = 500;

/** One JSON file in a private folder. `T` must be plain data. */
export class StateFile<T> {
  readonly #file: string;
  #turn = 0;

  /** Makes the folder (0700) when it is not there. Throws what the file system throws. */
  constructor(folder: string, name: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    this.#file = path.join(folder, name);
  }

  /** The content and when it was touched last, or null when there is none that can be trusted. */
  read(): { readonly value: T; readonly touchedAtMs: number } | null {
    try {
      const text = readFileSync(this.#file, 'utf8');
      const end = text.indexOf('\n');
      const header = JSON.parse(text.slice(0, end)) as { version?: unknown; sha256?: unknown };
      const body = text.slice(end + 1);
      if (header.version !== layoutVersion || header.sha256 !== digest(body)) return null;
      return { value: JSON.parse(body) as T, touchedAtMs: statSync(this.#file).mtimeMs };
    } catch {
      return null; // not there, not readable, or no JSON: a start without state
    }
  }

  /** Replaces the content; readable by its owner only. Rejects with what the file system says. */
  async write(value: T): Promise<void> {
    const draft = `${this.#file}.${process.pid}.${this.#turn++}`;
    try {
      const handle = await open(draft, 'wx', 0o600);
      try {
        const hash = createHash('sha256');
        await handle.writeFile(headerOf(noDigest));
        for (const piece of jsonPieces(value)) {
          hash.update(piece);
          await handle.writeFile(piece);
        }
        await handle.write(headerOf(hash.digest('hex')), 0);
        await handle.datasync();
      } finally {
        await handle.close();
      }
      renameSync(draft, this.#file);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  }

  /** Says that the content was still true at `nowMs`. */
  touch(nowMs: number): void {
    try {
      utimesSync(this.#file, nowMs / 1000, nowMs / 1000);
    } catch {
      // Nothing has been written yet.
    }
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }
}

/** The first line of a file; as long whatever the digest is. */
function headerOf(sha256: string): string {
  return `${JSON.stringify({ version: layoutVersion, sha256 })}\n`;
}

/**
 * `JSON.stringify` of plain data, in pieces: field by field, and long lists by some items each. The text of a large
 * mesh takes 50 MB and half a second at once.
 */
export function* jsonPieces(value: unknown): Generator<string> {
  if (Array.isArray(value) && value.length > itemsPerPiece) {
    for (let at = 0; at < value.length; at += itemsPerPiece) {
      yield `${at === 0 ? '[' : ','}${JSON.stringify(value.slice(at, at + itemsPerPiece)).slice(1, -1)}`;
    }
    yield ']';
  } else if (isRecord(value) && Object.values(value).some((field) => typeof field === 'object')) {
    let before = '{';
    for (const [name, field] of Object.entries(value)) {
      if (field === undefined) continue;
      yield `${before}${JSON.stringify(name)}:`;
      yield* jsonPieces(field);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  } else yield JSON.stringify(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True when `folder` is on a file system that never reaches a disk. */
export function isMemoryBacked(folder: string): boolean {
  try {
    return memoryTypes.includes(statfsSync(folder).type);
  } catch {
    return false;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Deletes a folder with state and everything in it; and the one around it, when that is Ambient's own and empty now.
 * Idempotent. Throws CONFIG_INVALID for what cannot be such a folder, otherwise what the file system throws.
 */
export function removeState(folder: string): void {
  const whole = path.resolve(folder);
  const parent = path.dirname(whole);
  if (parent === path.dirname(parent)) {
    throw new MeshError('CONFIG_INVALID', { place: folder, reason: 'is no folder of the proxy alone' });
  }
  rmSync(whole, { recursive: true, force: true });
  try {
    if (path.basename(parent) === 'ambient') rmdirSync(parent);
  } catch {
    // Something else is in it.
  }
}
