// What is shown again and again: drawn over itself on a terminal, appended elsewhere, until Ctrl-C.
import { setTimeout as sleep } from 'node:timers/promises';
import type { CliIo } from './io.ts';

/** Waits; false when Ctrl-C came. */
export async function pause(ms: number, interruption: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal: interruption }).catch(() => {});
  return !interruption.aborted;
}

/** Draws a block of text over the one before on a terminal; appends it elsewhere. */
export class Redraw {
  readonly #io: CliIo;
  #lines = 0;

  constructor(io: CliIo) {
    this.#io = io;
  }

  draw(text: string): void {
    if (!this.#io.isTerminal) {
      this.#io.stdout.write(`${text}\n`);
      return;
    }
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A` : '';
    // Each line clears its rest, so that a shorter text leaves nothing of the longer one; without wrapping (7l), one
    // line of text stays one line of the screen, which the way up depends on. The cursor hides meanwhile (25l).
    const body = text.replaceAll('\n', '\u001b[K\n');
    this.#io.stdout.write(`\u001b[?25l\u001b[?7l${up}\r${body}\u001b[J\u001b[?7h`);
    this.#lines = text.split('\n').length - 1;
  }

  /** Gives the cursor back. */
  end(): void {
    if (this.#io.isTerminal) this.#io.stdout.write('\u001b[?25h');
  }
}
