// What holds for every command line, whatever the command: the name that the program was called by, and whether it uses
// colour. Both are settled before anything is parsed.
import { MeshError } from '../base/errors.ts';
import type { CliIo } from './io.ts';

const ownName = 'ambientctl';
const whens = ['auto', 'always', 'never'] as const;

/** `ambientctl`, or `kubectl ambient`. */
export function calledAs(env: CliIo['env']): string {
  return env.AMBIENT_CALLED_AS || ownName;
}

/** A text with the program's name as it was called, where a command line begins with it. */
export function renamed(text: string, name: string): string {
  return name === ownName ? text : text.replaceAll(/\bambientctl(?=[ :])/g, name);
}

/**
 * The rest of the words without `--color WHEN`, which may stand anywhere before `--`, and the io that it asks for.
 * Throws USAGE for a value that is none.
 */
export function mannered(args: readonly string[], io: CliIo): { readonly rest: readonly string[]; readonly io: CliIo } {
  const name = calledAs(io.env);
  const named: CliIo =
    name === ownName ? io : { ...io, stderr: { write: (text) => io.stderr.write(renamed(text, name)) } };
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  const at = words.findIndex((word) => word === '--color' || word.startsWith('--color='));
  if (at < 0) return { rest: args, io: named };
  const isApart = words[at] === '--color';
  const value = isApart ? words[at + 1] : words[at]?.slice('--color='.length);
  const when = whens.find((one) => one === value);
  if (when === undefined) {
    throw new MeshError('USAGE', { reason: `--color is one of ${whens.join(', ')}, not '${value ?? ''}'` });
  }
  const rest = args.toSpliced(at, isApart ? 2 : 1);
  if (when === 'auto') return { rest, io: named };
  const colour = when === 'always';
  return { rest, io: { ...named, stdoutColour: colour, stderrColour: colour } };
}
