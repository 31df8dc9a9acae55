// Logs of pods and of the mesh's programs: files on the lab's tmpfs, kept below a limit, read from the start and
// followed.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Clock } from '../base/clock.ts';

/** What one program may write before the older half is dropped; the lab's files live in memory. */
const logBytesMax = 16 * 1024 * 1024;
const checkEveryMs = 1_000;
const readBytesMax = 256 * 1024;
const followPollMs = 50;

/** Cuts log files that have grown beyond the limit. Writers append, so they need not know. */
export class LogKeeper {
  readonly #dir: string;
  readonly #clock: Clock;
  #cancel: (() => void) | null = null;

  constructor(dir: string, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  start(): void {
    this.#cancel = this.#clock.after(checkEveryMs, () => {
      this.check();
      this.start();
    });
  }

  close(): void {
    this.#cancel?.();
  }

  check(): void {
    for (const name of readdirSync(this.#dir, { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.log')) cutIfTooLong(path.join(this.#dir, name));
    }
  }
}

function cutIfTooLong(file: string): void {
  try {
    const { size } = statSync(file);
    if (size < logBytesMax) return;
    const kept = lastBytes(file, logBytesMax / 2);
    // Lines that are written between these two steps are lost: the price of writers that need not take part.
    truncateSync(file, 0);
    writeFileSync(`${file}.old.new`, kept);
    renameSync(`${file}.old.new`, `${file}.old`);
  } catch {
    // The pod has gone, and its log with it.
  }
}

function lastBytes(file: string, count: number): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = statSync(file);
    const length = Math.min(size, count);
    const buffer = Buffer.alloc(length);
    const read = readSync(descriptor, buffer, 0, length, size - length);
    const whole = buffer.subarray(0, read);
    const firstLine = size > length ? whole.indexOf(10) + 1 : 0;
    return whole.subarray(firstLine);
  } finally {
    closeSync(descriptor);
  }
}

/** The last `count` lines of a log, oldest first; none when there is no log yet. */
export function lastLines(file: string, count: number): string[] {
  if (!existsSync(file)) return [];
  const text = lastBytes(file, 64 * 1024).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(-count);
}

/**
 * The lines of several logs, one log after the other; then, when `follow` is set, what is added to any of them, until
 * `signal` says stop. A log that is not there yet is waited for when following. Lines stay whole.
 */
export async function* readLogs(
  files: readonly string[],
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const readers = files.map((file) => ({ file, position: 0 }));
  for (const { file } of readers) yield* readFrom(`${file}.old`, 0);
  for (;;) {
    for (const reader of readers) {
      if (sizeOf(reader.file) < reader.position) reader.position = 0; // It was cut.
      for (const chunk of readFrom(reader.file, reader.position)) {
        const whole = follow ? wholeLines(chunk) : chunk;
        reader.position += whole.length;
        if (whole.length > 0) yield whole;
        if (whole.length < chunk.length) break;
      }
    }
    if (!follow || signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, followPollMs));
    if (signal.aborted) return;
  }
}

/** A chunk up to its last line end; all of it when it is one endless line. */
function wholeLines(chunk: Buffer): Buffer {
  const end = chunk.lastIndexOf(10) + 1;
  return end === 0 && chunk.length === readBytesMax ? chunk : chunk.subarray(0, end);
}

function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}

function* readFrom(file: string, start: number): Generator<Buffer> {
  if (!existsSync(file)) return;
  const descriptor = openSync(file, 'r');
  try {
    for (let position = start; ; ) {
      const buffer = Buffer.alloc(readBytesMax);
      const read = readSync(descriptor, buffer, 0, readBytesMax, position);
      if (read === 0) return;
      position += read;
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(descriptor);
  }
}
