// The options of `ambientctl dashboard`.
import { Argument, type Command as Commander } from 'commander';
import { type Act, examples, withCluster } from './program-options.ts';

/** Adds the command. */
export function addDashboardCommand(program: Commander, act: Act): void {
  withCluster(program.command('dashboard'))
    .summary('the live page of a mesh in a browser')
    .description(
      'Opens the live page of a mesh: the service graph as it is now, the proxies, the problems. The page is read-only, ' +
        'and served to this machine alone until Ctrl-C. Prints the address. A cluster is reached by a port-forward to the ' +
        'controller, which takes no password of the page.',
    )
    .addArgument(new Argument('[page]', 'what is shown first').choices(['graph', 'proxies', 'problems']))
    .option('--port <n>', 'the port of this machine; default 15030, or any that is free')
    .option('--open', 'open a browser; the default where there is a desktop')
    .option('--no-open', 'print the address alone')
    .addHelpText(
      'after',
      examples([
        ['ambientctl dashboard', 'of the lab that runs, else of the cluster of kubectl'],
        ['ambientctl dashboard problems --port 8080 --no-open', 'to be opened by hand'],
      ]),
    )
    .action(act(async () => (await import('./dashboard.ts')).dashboard));
}
