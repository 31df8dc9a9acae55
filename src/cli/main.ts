// Runs one command line: parse, act, print, and turn whatever went wrong into one line and an exit code.
import { CommanderError } from 'commander';
import { MeshError } from '../base/errors.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { withoutHelpWord } from './foreign-words.ts';
import { type CliIo, coloured, plain } from './io.ts';
import { mannered } from './manners.ts';
import { buildProgram } from './program.ts';

/** Runs `ambientctl` with `args` and returns its exit code. Never throws. */
export async function runCli(args: readonly string[], outer: CliIo): Promise<number> {
  const outcome = { exitCode: exitCodes.fine as number };
  let io = outer;
  try {
    const mannerly = mannered(args, outer);
    io = mannerly.io;
    const program = buildProgram(io, outcome);
    if (mannerly.rest.length === 0) {
      program.outputHelp();
      return exitCodes.fine;
    }
    await program.parseAsync([...withoutHelpWord(mannerly.rest)], { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
    if (error instanceof Error && error.name === 'AbortError') return exitCodes.interrupted;
    const known = MeshError.from(error);
    const paint = io.stderrColour ? coloured : plain;
    io.stderr.write(`${paint('ambientctl:', 'bad')} ${known.message}${nextOf(known)}\n`);
    if (known.code === 'INTERNAL' && io.env.AMBIENT_DEBUG)
      io.stderr.write(`${(known.cause as Error)?.stack ?? known.stack}\n`);
    return exitCodeOf(known);
  }
}

/** What to do about an answer of an API server, which knows nothing of us. */
function nextOf({ code, details }: MeshError): string {
  if (code !== 'KUBE_API') return '';
  if (details['status'] === 401) return '; log in anew: kubectl auth whoami';
  if (details['status'] === 403) return '; ask for the right, or see what you have: kubectl auth can-i --list';
  return '';
}
