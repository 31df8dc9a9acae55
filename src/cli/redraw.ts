// What is shown again and again: drawn over itself on a terminal, appended elsewhere, until Ctrl-C.
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandContext, type CommandResult, formatOf, render, renderingOf } from './command.ts';
import type { CliIo } from './io.ts';

/** Waits; false when Ctrl-C came. */
export async function pause(ms: number, interruption: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal: interruption }).catch(() => {});
  return !interruption.aborted;
}

/** What `work` resolves with; null when Ctrl-C comes first: what hangs is not waited for. */
export async function unlessInterrupted<T>(work: Promise<T>, interruption: AbortSignal): Promise<T | null> {
  const stopped = Promise.withResolvers<null>();
  const stop = (): void => stopped.resolve(null);
  interruption.addEventListener('abort', stop, { once: true });
  try {
    return interruption.aborted ? null : await Promise.race([work, stopped.promise]);
  } finally {
    interruption.removeEventListener('abort', stop);
    work.catch(() => {});
  }
}

/**
 * Shows a result again and again until Ctrl-C, which is how it ends well; as JSON, one line per time. Rejects with an
 * AbortError when Ctrl-C comes before there is anything to show.
 */
export async function watch(
  { io, options }: CommandContext,
  everyMs: number,
  next: () => Promise<CommandResult>,
): Promise<void> {
  const format = formatOf(options);
  const interruption = io.interruption();
  const screen = new Redraw(io);
  let isShown = false;
  do {
    const result = await unlessInterrupted(next(), interruption);
    if (result === null && !isShown) throw new DOMException('interrupted', 'AbortError');
    if (result === null) break;
    isShown = true;
    if (format === 'json') io.stdout.write(`${JSON.stringify(result.data)}\n`);
    else screen.draw(await render(result, format, renderingOf(io, options)));
  } while (await pause(everyMs, interruption));
  screen.end();
}

/** Draws a block of text over the one before on a terminal; appends it elsewhere. */
export class Redraw {
  readonly #io: CliIo;
  #lines = 0;
  #isDrawn = false;

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
    if (!this.#isDrawn) process.once('exit', this.#atExit);
    this.#isDrawn = true;
    this.#lines = text.split('\n').length - 1;
  }

  /** Gives the cursor back. */
  end(): void {
    process.off('exit', this.#atExit);
    if (this.#isDrawn) this.#io.stdout.write('\u001b[?25h');
  }

  /** However the process ends. */
  readonly #atExit = (): void => this.end();
}
