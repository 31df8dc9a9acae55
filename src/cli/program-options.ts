// What the branches of the command tree share: the options that every command has, and the form of examples.
import { type Command as Commander, Option } from 'commander';
import { type Command, outputFormats } from './command.ts';

/** Makes commander run a command that is loaded when it is needed. */
export type Act = (load: () => Promise<Command>) => (...args: unknown[]) => Promise<void>;

/** Adds the options that say which mesh, and in which form the answer comes. */
export function withMesh(command: Commander): Commander {
  return withCluster(withOutput(command));
}

/** For commands about a lab alone: a cluster is refused with a reason. */
export function withLabAlone(command: Commander): Commander {
  return withLab(withOutput(command));
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

/** Adds `-o`. */
export function withOutput(command: Commander): Commander {
  return command.addOption(
    new Option('-o, --output <format>', 'how the answer is printed').choices(outputFormats).default('table'),
  );
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
