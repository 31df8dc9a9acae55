// The text of docs/cli.md, made of the command tree itself: what each command is for, how it is called, what it takes.
import type { Command as Commander, Option } from 'commander';
import type { CliIo } from './io.ts';
import { buildProgram } from './program.ts';

const lineMax = 118;
/** Said once, at the beginning. */
const shared = new Set(['--lab', '--kubeconfig', '--context', '--system-namespace', '--help', '--all-namespaces']);

/** Every command that a person may type, with its words: `config certs`. */
export function commandsOf(program: Commander): readonly { readonly words: string; readonly command: Commander }[] {
  const below = (command: Commander, before: readonly string[]): { words: string; command: Commander }[] =>
    command
      .createHelp()
      .visibleCommands(command)
      .flatMap((one) => {
        const words = [...before, one.name()];
        return one.commands.length > 0 ? below(one, words) : [{ words: words.join(' '), command: one }];
      });
  return below(program, []);
}

/** The help of a command as it is printed. */
export function helpOf(command: Commander): string {
  let text = '';
  const write = (more: string): void => {
    text += more;
  };
  command.configureOutput({ writeOut: write, getOutHelpWidth: () => lineMax });
  command.outputHelp();
  return text;
}

/** The lines under `Examples:` of a help text, each with its comment. */
export function examplesOf(help: string): readonly string[] {
  const found = /^Examples:\n((?: {2}.*\n)+)/m.exec(help)?.[1] ?? '';
  return found.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.slice(2)]));
}

/** The command tree, as nobody has called it. */
export function bareProgram(): Commander {
  const nowhere = { write: (): void => undefined };
  const io = { stdout: nowhere, stderr: nowhere, env: {}, columns: lineMax, stderrColour: false };
  return buildProgram(io as unknown as CliIo, { exitCode: 0 });
}

/** The whole page. */
export function cliPage(): string {
  const commands = commandsOf(bareProgram());
  const index = commands.map(({ words, command }) => {
    return `| [\`${words}\`](#ambientctl-${words.replaceAll(' ', '-')}) | ${command.summary()} |\n`;
  });
  return `${head}\n| command | |\n|---|---|\n${index.join('')}\n${commands.map(sectionOf).join('\n')}`;
}

function sectionOf({ words, command }: { readonly words: string; readonly command: Commander }): string {
  const own = command.options.filter(({ long, hidden }) => !hidden && !shared.has(long ?? ''));
  const usage = `ambientctl ${words} ${command.usage()}`.trim();
  const lines = [`## ambientctl ${words}\n\n${wrapped(command.description())}\n`];
  lines.push(`\n\`\`\`sh\n${examplesOf(helpOf(command)).join('\n')}\n\`\`\`\n`);
  lines.push(`\nUsage: \`${usage}\`\n`);
  if (own.length > 0) lines.push(`\n| option | |\n|---|---|\n${own.map(optionRow).join('')}`);
  return lines.join('');
}

function optionRow({ flags, description, argChoices, defaultValue }: Option): string {
  const choices = argChoices === undefined ? '' : `: ${argChoices.join(', ')}`;
  const initial = typeof defaultValue === 'string' ? `; default ${defaultValue}` : '';
  return `| \`${flags.replaceAll('|', '\\|')}\` | ${`${description}${choices}${initial}`.replaceAll('|', '\\|')} |\n`;
}

function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > lineMax) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

const head = `# ambientctl

Made of the program's own help by \`npm run generate\`. As a plug-in of kubectl the same is called \`kubectl
ambient …\`.

**As a plug-in of kubectl**: \`npm run build\` writes \`dist/krew/ambient.yaml\` for \`kubectl krew install\`
([image.md](image.md#the-plugin-for-krew)).

**Which mesh**: \`--lab NAME\` (or \`AMBIENT_LAB\`; the only lab that runs is the default), else \`--kubeconfig
FILE\` and \`--context NAME\`, as kubectl has them; \`--system-namespace\` says where the controller of a
cluster is. \`kubectl ambient\` means a cluster unless a lab is named. What reads files (\`-f\`,
\`--input-file\`, \`analyze PATH\`) needs no mesh.

**Output**: data goes to stdout, talk to stderr; what is waited for is a spinner on a terminal, lines elsewhere,
and nothing when it takes less than a second. \`-o json\` and \`-o yaml\` have everything that a table shows,
under stable names; \`-o name\`, where objects are listed, has lines of \`KIND/NAME\` as kubectl takes them. \`-n\`
narrows to a namespace, \`-A\` is every namespace, \`-l\` selects by labels in kubectl's syntax. \`--no-headers\`
leaves out the first line of tables. \`--color auto|always|never\`; \`NO_COLOR\` and \`TERM=dumb\` are honoured.

**Exit codes**

| code | |
|---|---|
| 0 | fine |
| 1 | a failure was found |
| 2 | usage, or input that cannot be read |
| 3 | not reachable |
| 4 | timed out |
| 130 | ended by Ctrl-C before it was done; what stays behind is said |

What goes on until Ctrl-C (\`-f\`, \`-w\`, \`top\`) ends with 0 then.

**Completion**: \`source <(ambientctl completion bash)\`, and for zsh and fish; names are those of the mesh, live.
For \`kubectl ambient\`, kubectl asks \`kubectl_complete-ambient\`, which is installed beside it. Keys for k9s are in
\`deploy/k9s/plugins.yaml\`.
`;
