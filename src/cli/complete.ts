// The hidden `ambientctl __complete`: candidates for the last of the words so far, from the command tree and from the
// mesh that is meant.
import type { Command as Commander, Option } from 'commander';
import { type Command, flagOption } from './command.ts';
import { type Candidate, namesFor } from './complete-names.ts';
import type { CliIo } from './io.ts';

/** As kubectl reads it (cobra's ShellCompDirective): the files of the shell are wanted, or are not. */
const wantsFiles = ':0';
const noFiles = ':4';
/** The same, and that a name goes on after what was completed. */
const noFilesNoSpace = ':6';

/** Prints one candidate per line; never fails, since a completion that complains is worse than none. */
export function complete(program: Commander, io: CliIo): Command {
  return async (context) => {
    const words = context.args.length > 0 ? context.args : [''];
    const candidates = await candidatesFor(program, words, io);
    const isKubectl = flagOption(context, 'kubectl');
    const lines = candidates === 'files' ? [] : candidates.map(([value, about]) => `${value}\t${about}\n`);
    if (isKubectl) lines.push(`${directiveOf(candidates)}\n`);
    else if (candidates === 'files') lines.push(':files\n');
    io.stdout.write(lines.join(''));
    return 0;
  };
}

function directiveOf(candidates: readonly Candidate[] | 'files'): string {
  if (candidates === 'files') return wantsFiles;
  const isPart = candidates.length > 0 && candidates.every(([value]) => value.endsWith('/'));
  return isPart ? noFilesNoSpace : noFiles;
}

/** Candidates that begin with the last word; 'files' where the shell knows better. */
export async function candidatesFor(
  program: Commander,
  words: readonly string[],
  io: CliIo,
): Promise<readonly Candidate[] | 'files'> {
  const current = words.at(-1) ?? '';
  const position = walk(program, words.slice(0, -1));
  const found = await candidatesAt(position, current, io);
  if (found === 'files') return found;
  return found.filter(([value]) => value.startsWith(current));
}

interface Position {
  readonly command: Commander;
  /** The option whose value comes next. */
  readonly pending: Option | null;
  readonly positional: readonly string[];
  readonly values: ReadonlyMap<string, string>;
}

function walk(program: Commander, words: readonly string[]): Position {
  let command = program;
  let pending: Option | null = null;
  let positional: string[] = [];
  const values = new Map<string, string>();
  for (const word of words) {
    if (pending !== null) {
      values.set(pending.attributeName(), word);
      pending = null;
    } else if (word.startsWith('-')) {
      const option = command.options.find((one) => one.short === word || one.long === word);
      if (option?.required) pending = option;
    } else {
      const next = command.commands.find((one) => one.name() === word);
      if (next === undefined) positional.push(word);
      else [command, positional] = [next, []];
    }
  }
  return { command, pending, positional, values };
}

async function candidatesAt(position: Position, current: string, io: CliIo): Promise<readonly Candidate[] | 'files'> {
  const { command, pending, positional, values } = position;
  if (pending !== null) {
    if (pending.argChoices !== undefined) return pending.argChoices.map((choice) => [choice, '']);
    return namesFor({ ...whereOf(position), option: pending.attributeName(), current }, io);
  }
  if (current.startsWith('-')) {
    const isOpen = (option: Option): boolean => isRepeatable(option) || !values.has(option.attributeName());
    const visible = command.options.filter((option) => !option.hidden && isOpen(option));
    return visible.map((option): Candidate => [option.long ?? option.short ?? '', option.description]);
  }
  const subcommands = command.createHelp().visibleCommands(command);
  if (subcommands.length > 0) return subcommands.map((one): Candidate => [one.name(), one.summary()]);
  const argument = command.registeredArguments[positional.length] ?? command.registeredArguments.at(-1);
  return argument === undefined ? [] : namesFor({ ...whereOf(position), argument: argument.name(), current }, io);
}

/** It collects its values. */
function isRepeatable({ variadic, parseArg }: Option): boolean {
  return variadic || parseArg !== undefined;
}

function whereOf({ command, values }: Position): { command: string; values: ReadonlyMap<string, string> } {
  const names: string[] = [];
  for (let at: Commander | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return { command: names.join(' '), values };
}
