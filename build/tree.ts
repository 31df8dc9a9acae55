// A tree of files in memory, and on disk with nothing left to chance: order, modes and times are the same every time.
import { chmodSync, lstatSync, lutimesSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface TreeFile {
  readonly bytes: Uint8Array | string;
  readonly isProgram?: boolean;
}

/** By path from the tree's root. */
export type Tree = ReadonlyMap<string, TreeFile>;

/** Seconds since 1970 that every file bears: SOURCE_DATE_EPOCH, or the beginning of 2026. */
export const sourceDateEpoch = Number(process.env.SOURCE_DATE_EPOCH ?? Date.UTC(2026, 0, 1) / 1000);

/** Writes the tree in place of whatever is at `folder`. */
export function writeTree(folder: string, tree: Tree): void {
  rmSync(folder, { recursive: true, force: true });
  for (const name of [...tree.keys()].sort()) {
    const { bytes, isProgram = false } = tree.get(name) as TreeFile;
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    chmodSync(file, isProgram ? 0o755 : 0o644);
  }
  setTimes(folder);
}

/** Gives everything below `folder`, and itself, the one time. */
export function setTimes(folder: string): void {
  for (const entry of readdirSync(folder)) {
    const file = path.join(folder, entry);
    const stat = lstatSync(file);
    if (stat.isDirectory()) setTimes(file);
    else lutimesSync(file, sourceDateEpoch, sourceDateEpoch);
  }
  chmodSync(folder, lstatSync(folder).mode & 0o7777);
  lutimesSync(folder, sourceDateEpoch, sourceDateEpoch);
}
