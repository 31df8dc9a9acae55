// The shape of every command: it gets a context and returns data with a way to show it; this file prints it.
// So each thing on the screen is also there as JSON with the same fields, and commands are tested without a terminal.
import { parseDurationMs } from '../base/duration.ts';
import { MeshError } from '../base/errors.ts';
import { type CliIo, coloured, type Paint, plain } from './io.ts';
import type { TableView } from './table.ts';

export interface CommandContext {
  readonly io: CliIo;
  readonly args: readonly string[];
  /** Options by their camel-case names, as commander gives them. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface CommandResult {
  /** What `-o json` and `-o yaml` print: a contract. */
  readonly data: unknown;
  /** What a person reads, for `-o table` and `-o wide`; ends with a newline. */
  readonly text: (view: TableView) => string;
  /** What a person should know beside the answer: goes to stderr in every format. */
  readonly talk?: (paint: Paint) => string;
  /** Formats that only this command has, such as `sarif`. */
  readonly also?: Readonly<Record<string, () => string>>;
  /** 0 unless the answer itself is bad news. */
  readonly exitCode?: number;
}

/** A command: its result, or an exit code when it has printed everything itself. */
export type Command = (context: CommandContext) => Promise<CommandResult | number>;

export const outputFormats = ['table', 'wide', 'json', 'yaml'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** Prints a result as `-o` and `--no-headers` say and returns the exit code. Throws USAGE for a format that is none. */
export async function printResult({ io, options }: CommandContext, result: CommandResult): Promise<number> {
  const text = await render(result, formatOf(options), renderingOf(io, options));
  if (text !== '') io.stdout.write(text);
  const talk = result.talk?.(io.stderrColour ? coloured : plain) ?? '';
  if (talk !== '') io.stderr.write(talk);
  return result.exitCode ?? 0;
}

/** The format that `-o` names. */
export function formatOf({ output }: CommandContext['options']): string {
  return typeof output === 'string' ? output : 'table';
}

export interface Rendering {
  readonly colour?: boolean;
  readonly headers?: boolean;
}

/** What the options and the terminal say about how a table looks. */
export function renderingOf(io: CliIo, options: CommandContext['options']): Rendering {
  return { colour: io.stdoutColour, headers: options['headers'] !== false };
}

/** A result as text in `format`. */
export async function render(result: CommandResult, format: string, rendering: Rendering = {}): Promise<string> {
  const { colour = false, headers = true } = rendering;
  const own = result.also?.[format];
  if (own !== undefined) return own();
  switch (format) {
    case 'table':
    case 'wide':
      return result.text({ wide: format === 'wide', paint: colour ? coloured : plain, headers });
    case 'json':
      return `${JSON.stringify(result.data, null, 2)}\n`;
    case 'yaml': {
      const { stringify } = await import('yaml');
      return stringify(result.data, { lineWidth: 0, aliasDuplicateObjects: false });
    }
    default:
      throw new MeshError('USAGE', {
        reason: `there is no output format '${format}'; use ${outputFormats.join(', ')}`,
      });
  }
}

/** Lines of names, as `-o name` prints them. */
export function namesText(names: readonly string[]): string {
  return names.map((name) => `${name}\n`).join('');
}

/** An option that must be text; undefined when it was not given. */
export function textOption(context: CommandContext, name: string): string | undefined {
  const value = context.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** An option that may be given several times. */
export function listOption(context: CommandContext, name: string): readonly string[] {
  const value = context.options[name];
  return Array.isArray(value) ? value.map(String) : [];
}

/** A switch. */
export function flagOption(context: CommandContext, name: string): boolean {
  return context.options[name] === true;
}

/** A duration option such as `60s` or `1h30m`, or a bare number of seconds; in milliseconds. Throws USAGE. */
export function durationOption(context: CommandContext, name: string, fallbackMs: number): number {
  const text = textOption(context, name);
  if (text === undefined) return fallbackMs;
  const ms = parseDurationMs(/^\d+(\.\d+)?$/.test(text) ? `${text}s` : text);
  if (ms === null)
    throw new MeshError('USAGE', { reason: `--${name} '${text}' is no duration like 500ms, 60s or 1h30m` });
  return ms;
}
