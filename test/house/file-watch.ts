// Finds test files that will never end: their tests are done (or never began), and yet the process stays.
// Something in it holds the event loop: a socket, a timer, a child. One such file must not hold up the others.
import { readdirSync, readFileSync } from 'node:fs';
import type { TestEvent } from './test-phases.ts';

export interface WatchLimits {
  /** Between tests: loading, and the hooks before and after. A test that runs has a time-out of its own. */
  readonly betweenMs: number;
  /** After the last test. */
  readonly afterMs: number;
}

interface OpenFile {
  /** Tests and suites that are known and have not ended. */
  readonly waiting: Set<unknown>;
  /** Those of them that have begun. */
  readonly running: Set<unknown>;
  hasEnded: boolean;
  lastEventMs: number;
}

/** Follows the events of a run; pure, so that the clock is whoever calls. */
export class FileWatch {
  readonly #limits: WatchLimits;
  readonly #open = new Map<string, OpenFile>();

  constructor(limits: WatchLimits) {
    this.#limits = limits;
  }

  note(event: TestEvent, nowMs: number): void {
    const { name, file, entryFile, testId } = event.data;
    if (typeof file !== 'string') return;
    // The runner reports a file itself as a test whose name is the file's path.
    if (name === file && event.type === 'test:dequeue') {
      this.#open.set(file, { waiting: new Set(), running: new Set(), hasEnded: false, lastEventMs: nowMs });
    }
    if (name === file && event.type === 'test:complete') this.#open.delete(file);
    const open = this.#open.get(typeof entryFile === 'string' ? entryFile : file);
    if (open === undefined || name === file) return;
    open.lastEventMs = nowMs;
    if (event.type === 'test:enqueue') open.waiting.add(testId);
    if (event.type === 'test:dequeue') open.running.add(testId);
    if (event.type !== 'test:complete') return;
    open.waiting.delete(testId);
    open.running.delete(testId);
    open.hasEnded = open.waiting.size === 0;
  }

  /** Files with nothing under way for longer than they may. */
  stuck(nowMs: number): string[] {
    const { betweenMs, afterMs } = this.#limits;
    return [...this.#open]
      .filter(([, { running }]) => running.size === 0)
      .filter(([, { hasEnded, lastEventMs }]) => nowMs - lastEventMs > (hasEnded ? afterMs : betweenMs))
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
