// What a command may touch of the outside: streams, environment, signals. Tests give their own.
import { getEventListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { styleText } from 'node:util';

/** The part of a stream that output needs. */
export interface TextOut {
  write(text: string): unknown;
}

export interface CliIo {
  readonly stdin: Readable;
  /** Data: what a script reads. */
  readonly stdout: TextOut;
  /** Talk: progress, hints, errors. */
  readonly stderr: TextOut;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output is a terminal that can move its cursor: tables may be redrawn. */
  readonly isTerminal: boolean;
  /** Standard error is a terminal: what is waited for may be drawn over itself, and questions may be asked. */
  readonly talkIsTerminal?: boolean;
  readonly columns: number;
  readonly stdoutColour: boolean;
  readonly stderrColour: boolean;
  /**
   * A signal that the first Ctrl-C or SIGTERM aborts; a second one ends the process at once, and so does the first when
   * nobody listens to the signal just then, so that nothing that hangs holds a command up. Only a command that asks for
   * it is asked to end; any other is ended by the signal itself, and those that pass signals on see them all.
   */
  readonly interruption: () => AbortSignal;
}

/** The io of this process. A closed pipe (`| head`) ends it quietly. */
export function processIo(): CliIo {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
    });
  }
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    isTerminal: process.stdout.isTTY === true && process.env.TERM !== 'dumb',
    talkIsTerminal: process.stderr.isTTY === true,
    // 0 where a terminal does not say.
    columns: process.stdout.columns || process.stderr.columns || 120,
    stdoutColour: wantsColour(process.stdout.isTTY === true, process.env),
    stderrColour: wantsColour(process.stderr.isTTY === true, process.env),
    interruption: onceInterrupted(),
  };
}

function onceInterrupted(): () => AbortSignal {
  let interrupt: AbortController | null = null;
  return () => {
    if (interrupt !== null) return interrupt.signal;
    const controller = new AbortController();
    interrupt = controller;
    for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
      process.on(signal, () => {
        const isHeard = !controller.signal.aborted && getEventListeners(controller.signal, 'abort').length > 0;
        controller.abort(signal);
        if (!isHeard) process.exit(code);
      });
    }
    return controller.signal;
  };
}

/** For a command that has to put things in order when it is interrupted, whatever it is doing just then. */
export function endsInItsOwnTime(interruption: AbortSignal): void {
  interruption.addEventListener('abort', () => {}, { once: true });
}

/** Asks a person; false where nobody can answer, or the answer is not yes. */
export async function confirmed(io: CliIo, question: string): Promise<boolean> {
  if (io.talkIsTerminal !== true || (io.stdin as { readonly isTTY?: boolean }).isTTY !== true) return false;
  io.stderr.write(`${question} [y/N] `);
  for await (const chunk of io.stdin) return /^\s*y(es)?\s*$/i.test(String(chunk));
  return false;
}

/** Colour only on a terminal, never for `NO_COLOR` or `TERM=dumb`; `FORCE_COLOR` says yes where neither forbids it. */
export function wantsColour(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.TERM === 'dumb') return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0';
  return isTerminal;
}

export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'strong';
/** Colours a piece of text by what it means; `plain` leaves it as it is. */
export type Paint = (text: string, tone: Tone) => string;

const tones = { good: 'green', bad: 'red', warn: 'yellow', dim: 'dim', strong: 'bold' } as const;

/** No colour at all. */
export const plain: Paint = (text) => text;
/** ANSI colours. */
export const coloured: Paint = (text, tone) => styleText(tones[tone], text, { validateStream: false });
