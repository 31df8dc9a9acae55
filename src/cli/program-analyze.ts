// The options of `ambientctl analyze`.
import { type Command as Commander, Option } from 'commander';
import { type Act, collect, examples, withCluster, withSelector } from './program-options.ts';

const severities = ['error', 'warning', 'info'];
const formats = ['table', 'json', 'yaml', 'sarif'];

/** Adds the command. */
export function addAnalyzeCommand(program: Commander, act: Act): void {
  withSelector(withCluster(program.command('analyze')), 'say only what is about objects')
    .argument('[paths...]', 'files or folders of manifests, - for standard input; none: a mesh that runs')
    .summary('what is wrong, or may surprise, in the manifests of a mesh')
    .description(
      'Reads manifests as the mesh reads them and says what it finds: what cannot be read or done, what leads nowhere, what is ' +
        'enforced by nobody. Each finding has a place, what would happen, what to write instead, and a code.',
    )
    .addOption(new Option('-o, --output <format>', 'how it is printed').choices(formats).default('table'))
    .option('-n, --namespace <ns>', 'say only what is about objects of this namespace; all are read')
    .option('-S, --suppress <code>', 'leave out CODE, or CODE=KIND NS/NAME with * for any (repeatable)', collect)
    .addOption(new Option('--failure-threshold <severity>', 'exit 1 from here on').choices(severities).default('error'))
    .addOption(new Option('--output-threshold <severity>', 'what is shown').choices(severities).default('info'))
    .option('--edges <file>', 'who calls whom, from ambientctl edges -o json; a mesh that runs is asked itself')
    .option('--flows <file>', 'the same from ambientctl tap -o json')
    .option('--fix', 'write into the files what has one meaning, and say what is left and why')
    .option('--dry-run', 'with --fix: show the changes as a diff, and write nothing')
    .option('-L, --list-codes', 'every code, and what should be')
    .addHelpText(
      'after',
      examples([
        ['ambientctl analyze deploy/', 'exit 1 when there is an error'],
        ['ambientctl analyze --failure-threshold warning -o sarif deploy/ > mesh.sarif', 'for code review'],
        ["ambientctl analyze -S 'AMB1003=Service shop/*' deploy/", 'not this, there'],
        ['ambientctl analyze --fix --dry-run deploy/', 'what would be written, as a diff'],
        ['ambientctl analyze --edges edges.json deploy/', 'with retries and time-outs along calls, and STRICT'],
        ['ambientctl analyze --context prod', 'what a cluster has; without anything, the lab that runs'],
      ]),
    )
    .action(act(async () => (await import('./analyze.ts')).analyze));
}
