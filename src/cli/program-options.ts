// What the branches of the command tree share: the options that every command has, and the form of examples.
import { type Command as Commander, Option } from 'commander';
import { type Command, outputFormats } from './command.ts';

/** Makes commander run a command that is loaded when it is needed. */
export type Act = (load: () => Promise<Command>) => (...args: unknown[]) => Promise<void>;

/** Adds the options that say which mesh, and in which form the answer comes. */
export function withMesh(command: Commander, formats: readonly string[] = outputFormats): Commander {
  return withCluster(withOutput(command, formats));
}

/** For commands about a lab alone: a cluster is refused with a reason. */
export function withLabAlone(command: Commander, formats: readonly string[] = outputFormats): Commander {
  return withLab(withOutput(command, formats));
}

/** Adds the options that say which mesh: a lab or a cluster. */
export function withCluster(command: Commander): Commander {
  return command
    .option('--lab <name>', labWords)
    .option('--kubeconfig <file>', 'a cluster; default KUBECONFIG or ~/.kube/config when no lab runs')
    .option('--context <name>', 'of the kubeconfig; default its current one')
    .addOption(
      new Option('--system-namespace <ns>', 'where the controller of the cluster is').default('ambient-system'),
    );
}

const labWords = 'the lab that is meant; default AMBIENT_LAB, or the only one that runs';

/** Adds the options that say which mesh, for commands that pass text through. */
export function withLab(command: Commander): Commander {
  return command
    .option('--lab <name>', labWords)
    .addOption(new Option('--kubeconfig <file>').hideHelp())
    .addOption(new Option('--context <name>').hideHelp())
    .addOption(new Option('--system-namespace <ns>').hideHelp());
}

/** Adds `-o` with its formats, and `--no-headers`, which the help of the program says once for all. */
export function withOutput(command: Commander, formats: readonly string[] = outputFormats): Commander {
  return command
    .addOption(new Option('-o, --output <format>', 'how the answer is printed').choices(formats).default('table'))
    .addOption(new Option('--no-headers', 'a table without its first line, for scripts').hideHelp());
}

/** The formats of commands that list objects. */
export const listFormats = [...outputFormats, 'name'] as const;

/** Adds `-l`; `what` says whose labels are meant. */
export function withSelector(command: Commander, what: string): Commander {
  return command.option('-l, --selector <selector>', `${what} with these labels: app=web,tier!=db,env in (a,b),!old`);
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** The examples at the end of a help text, comments aligned. */
export function examples(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([line]) => line.length));
  const shown = lines.map(([line, comment]) => `  ${comment === '' ? line : `${line.padEnd(width)}   # ${comment}`}`);
  return `\nExamples:\n${shown.join('\n')}\n`;
}
