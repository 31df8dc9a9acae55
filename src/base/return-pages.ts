// Gives pages back to the system that a process has and does not need: what the C library's heap has free, and what is
// mapped of Node's own binary. Of its 120 MB a start touches about 55; a proxy that is up needs some 15 of them, and
// gets each back at its first use, out of the page cache.
import { readFileSync, realpathSync } from 'node:fs';
import { bindLibc } from './libc.ts';

/** `madvise(2)`: drop the pages; of a file's clean pages the file has everything. */
const madvDontneed = 4;

interface Range {
  readonly start: bigint;
  readonly bytes: bigint;
}

type Return = () => void;

let returnAll: Return | null = null;

/** Takes some ms once, then about 5 ms: for quiet moments. Does nothing where the C library cannot be called. */
export function returnPages(): void {
  returnAll ??= bind();
  returnAll();
}

function bind(): Return {
  const advise = bindLibc({ madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' } });
  const trim = bindLibc({ malloc_trim: { arguments: ['u64'], return: 'i32' } }); // glibc alone has it
  const ranges = advise === null ? [] : cleanRanges(readOwn('smaps'), ownBinary());
  return () => {
    trim?.functions.malloc_trim(0n);
    for (const { start, bytes } of ranges) advise?.functions.madvise(start, bytes, madvDontneed);
  };
}

/**
 * Where `file` is mapped without the right to write and nothing has been written either, by the text of
 * `/proc/PID/smaps`. It stays so as long as the process lives: nobody unmaps or relocates a binary that runs.
 */
export function cleanRanges(smaps: string, file: string): Range[] {
  const found: Range[] = [];
  let current: Range | null = null;
  for (const line of smaps.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)$/.exec(line);
    if (head !== null) {
      const [, from = '', to = '', rights = '', name] = head;
      const start = BigInt(`0x${from}`);
      const isFixed = name === file && rights[1] === '-';
      current = isFixed ? { start, bytes: BigInt(`0x${to}`) - start } : null;
    } else if (current !== null && /^Anonymous: +0 kB$/.test(line)) found.push(current);
    // Written once and swapped out: dropped, it would be read from the file as it was before.
    else if (current !== null && found.at(-1) === current && /^Swap: +[1-9]/.test(line)) found.pop();
  }
  return found;
}

function readOwn(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'latin1');
  } catch {
    return ''; // no /proc: nothing is given back
  }
}

function ownBinary(): string {
  try {
    return realpathSync('/proc/self/exe');
  } catch {
    return '';
  }
}
