// What a command waits for, said on stderr: a spinner on a terminal, a line for each new reason elsewhere, nothing at
// all when it is quick. The one place for it, so that every wait looks alike, and ends alike by Ctrl-C.
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '../base/errors.ts';
import { type CliIo, coloured, plain } from './io.ts';

/** Who is answered sooner is told nothing. */
const quietMs = 1_000;
const turnMs = 120;
const turns = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;

export interface Wait {
  /** What is waited for, in words: `the waypoint shop/waypoint`. */
  readonly what: string;
  /** What stays as it is when Ctrl-C ends the wait, as a sentence; '' when nothing was begun. */
  readonly leaves?: string;
  /** Nothing where nobody watches: what is on stderr there is read by scripts. */
  readonly onTerminalOnly?: boolean;
}

/** Says what is missing now; the same words twice are said once. */
export type Say = (missing: string) => void;

/**
 * What `work` resolves with. While it runs, `say` tells what is missing. Ctrl-C rejects with an AbortError at once,
 * after a line that says what stays behind.
 */
export async function waiting<T>(
  io: CliIo,
  wait: Wait,
  work: (say: Say, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const line = new ProgressLine(io, wait.what, wait.onTerminalOnly === true);
  const signal = io.interruption();
  const interrupted = Promise.withResolvers<never>();
  const abort = (): void => interrupted.reject(new DOMException('interrupted', 'AbortError'));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work((missing) => line.say(missing), signal), interrupted.promise]);
  } catch (error) {
    if (signal.aborted) {
      line.end();
      const leaves = wait.leaves === undefined || wait.leaves === '' ? '' : `; ${wait.leaves}`;
      io.stderr.write(`interrupted while waiting for ${wait.what}${leaves}\n`);
      throw new DOMException('interrupted', 'AbortError');
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    line.end();
  }
}

/** What `work` resolves with; on a terminal, what is waited for is shown meanwhile. Ctrl-C ends the process. */
export async function shown<T>(io: CliIo, what: string, work: () => Promise<T>): Promise<T> {
  io.interruption(); // asked for, so that a signal finds somebody who takes the line away
  const line = new ProgressLine(io, what, true);
  try {
    return await work();
  } finally {
    line.end();
  }
}

export interface Until extends Wait {
  readonly timeoutMs: number;
  /** What to do when it takes too long. */
  readonly hint: string;
  readonly everyMs?: number;
}

/**
 * Asks again and again until `missing` resolves with null: then nothing is. Throws TIMED_OUT with what was missing
 * last.
 */
export async function waitUntil(
  io: CliIo,
  until: Until,
  missing: (signal: AbortSignal) => Promise<string | null>,
): Promise<void> {
  const deadlineMs = Date.now() + until.timeoutMs;
  await waiting(io, until, async (say, signal) => {
    for (;;) {
      const found = await missing(signal);
      if (found === null) return;
      if (Date.now() >= deadlineMs) {
        const hint = `${found}; ${until.hint}`;
        throw new MeshError('TIMED_OUT', { what: until.what, timeoutMs: until.timeoutMs, hint });
      }
      say(found);
      await sleep(until.everyMs ?? 250, undefined, { signal });
    }
  });
}

/** Where a line is drawn already: a wait within a wait has none of its own. */
const lines = new WeakSet<object>();

/** The line itself: drawn over itself on a terminal, printed anew elsewhere. */
class ProgressLine {
  readonly #io: CliIo;
  readonly #what: string;
  readonly #startedMs = Date.now();
  readonly #timer: NodeJS.Timeout;
  readonly #isTerminal: boolean;
  readonly #isSilent: boolean;
  #missing = '';
  #said: string | null = null;
  #turn = 0;
  #isShown = false;

  constructor(io: CliIo, what: string, onTerminalOnly: boolean) {
    this.#io = io;
    this.#what = what;
    this.#isTerminal = io.talkIsTerminal === true && io.env.TERM !== 'dumb';
    this.#isSilent = lines.has(io.stderr) || (onTerminalOnly && io.talkIsTerminal !== true);
    if (!this.#isSilent) lines.add(io.stderr);
    this.#timer = setInterval(() => this.#draw(), this.#isTerminal ? turnMs : quietMs);
  }

  say(missing: string): void {
    this.#missing = missing;
  }

  end(): void {
    clearInterval(this.#timer);
    process.off('exit', this.#atExit);
    if (!this.#isSilent) lines.delete(this.#io.stderr);
    if (this.#isShown) this.#io.stderr.write('\r\u001b[K');
    this.#isShown = false;
  }

  /** Where the process ends meanwhile, by a signal or a closed pipe, nothing of the line stays. */
  readonly #atExit = (): void => {
    this.end();
    if (this.#io.interruption().aborted) this.#io.stderr.write(`interrupted while waiting for ${this.#what}\n`);
  };

  #draw(): void {
    if (this.#isSilent) return;
    const tookMs = Date.now() - this.#startedMs;
    if (tookMs < quietMs - turnMs / 2) return;
    const text = `waiting for ${this.#what}${this.#missing === '' ? '' : `: ${this.#missing}`}`;
    if (!this.#isShown && this.#said === null) process.once('exit', this.#atExit);
    if (!this.#isTerminal) {
      if (text !== this.#said) this.#io.stderr.write(`- ${text}\n`);
      this.#said = text;
      return;
    }
    const paint = this.#io.stderrColour ? coloured : plain;
    const turn = turns[this.#turn++ % turns.length]!;
    const seconds = ` (${Math.round(tookMs / 1000)}s)`;
    const room = Math.max(this.#io.columns - seconds.length - 3, 20);
    const shown = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    this.#io.stderr.write(`\r\u001b[K${paint(turn, 'warn')} ${shown}${paint(seconds, 'dim')}`);
    this.#isShown = true;
  }
}
