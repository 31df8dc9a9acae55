// Finds test files that will never end: their tests are done (or never began), and yet the process stays.
// Something in it holds the event loop: a socket, a timer, a child. One such file must not hold up the others.
import { readdirSync, readFileSync } from 'node:fs';
import type { TestEvent } from './test-phases.ts';

interface OpenFile {
  /** Tests and suites that have begun and not ended. */
  running: number;
  lastEventMs: number;
}

/** Follows the events of a run; pure, so that the clock is whoever calls. */
export class FileWatch {
  readonly #graceMs: number;
  readonly #open = new Map<string, OpenFile>();

  /** `graceMs` is how long a file may stay with no test under way: loading, set-up, tear-down. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  note(event: TestEvent, nowMs: number): void {
    const { name, file, entryFile } = event.data;
    if (typeof file !== 'string') return;
    // The runner reports a file itself as a test whose name is the file's path.
    if (name === file && event.type === 'test:dequeue') {
      this.#open.set(file, { running: 0, lastEventMs: nowMs });
      return;
    }
    if (name === file && event.type === 'test:complete') {
      this.#open.delete(file);
      return;
    }
    const open = this.#open.get(typeof entryFile === 'string' ? entryFile : file);
    if (open === undefined) return;
    open.lastEventMs = nowMs;
    if (event.type === 'test:dequeue') open.running++;
    if (event.type === 'test:complete') open.running--;
  }

  /** Files with nothing under way for longer than the grace. A test that runs has a time-out of its own. */
  stuck(nowMs: number): string[] {
    return [...this.#open]
      .filter(([, { running, lastEventMs }]) => running <= 0 && nowMs - lastEventMs > this.#graceMs)
      .map(([file]) => file);
  }
}

/** Ends the child of this process that runs `file`, with SIGKILL: it had its chance. */
export function killFile(file: string): void {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      if (parent === process.pid && words.includes(file)) process.kill(Number(entry), 'SIGKILL');
    } catch {
      // It ended while we looked.
    }
  }
}
