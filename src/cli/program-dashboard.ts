// The options of `ambientctl dashboard`.
import { Argument, type Command as Commander, Option } from 'commander';
import { type Act, examples, withCluster } from './program-options.ts';

/** Adds the command. */
export function addDashboardCommand(program: Commander, act: Act): void {
  withCluster(program.command('dashboard'))
    .summary('the live page of a mesh in a browser')
    .description(
      'Opens the live page of a mesh: the service graph as it is now, the proxies, the problems. The page is read-only, ' +
        'and served to this machine alone until Ctrl-C. Prints the address.',
    )
    .addArgument(new Argument('[page]', 'what is shown first').choices(['graph', 'proxies', 'problems']))
    .option('--port <n>', 'the port of this machine; default 15030, or any that is free')
    .option('--no-browser', 'do not open a browser')
    .addOption(new Option('--show <what>', 'url: the same as --no-browser').choices(['url']))
    .addHelpText(
      'after',
      examples([
        ['ambientctl dashboard', 'of the lab that runs, else of the cluster of kubectl'],
        ['ambientctl dashboard problems --port 8080 --no-browser', 'to be opened by hand'],
      ]),
    )
    .action(act(async () => (await import('./dashboard.ts')).dashboard));
}
