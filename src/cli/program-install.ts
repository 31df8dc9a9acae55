// The branch of the command tree that puts Ambient into a cluster.
import { type Command as Commander, Option } from 'commander';
import { type Act, collect, examples } from './program-options.ts';

/** Adds `install`, `upgrade`, which prints the same, and `uninstall`. */
export function addInstallCommands(program: Commander, act: Act): void {
  for (const verb of ['install', 'upgrade'] as const) {
    withValues(program.command(verb))
      .summary(verb === 'install' ? 'prints what puts Ambient into a cluster' : 'the same, for a cluster that has it')
      .description('Prints definitions, accounts, roles, the controller and the node proxies, or applies them.')
      .option('--apply', 'apply it, instead of printing it')
      .option('--kubeconfig <file>', 'the cluster for --apply; default KUBECONFIG, or ~/.kube/config')
      .option('--context <name>', 'a context of the kubeconfig')
      .addHelpText(
        'after',
        examples([
          [`ambientctl ${verb} | kubectl apply --server-side -f -`, 'the next step is said on stderr'],
          [`ambientctl ${verb} --set controller.replicas=2 --apply`, 'with the current kubeconfig'],
        ]),
      )
      .action(act(async () => (await import('./install.ts')).install));
  }
  // It asks no cluster, and takes what the others take.
  withValues(program.command('uninstall'))
    .addOption(new Option('--kubeconfig <file>').hideHelp())
    .addOption(new Option('--context <name>').hideHelp())
    .summary('prints what restores the nodes of a cluster')
    .description('Prints a DaemonSet that takes the rules of capture away, and says in which order the rest goes.')
    .addHelpText('after', examples([['ambientctl uninstall > cleanup.yaml', 'the steps are said on stderr']]))
    .action(act(async () => (await import('./install.ts')).uninstall));
}

function withValues(command: Commander): Commander {
  return command
    .option('-f, --file <values>', 'a file of values (repeatable; - is standard input)', collect)
    .option('--set <path=value>', 'one value, such as controller.replicas=2 (repeatable)', collect)
    .addOption(new Option('-o, --output <format>', 'yaml (default) or json').choices(['yaml', 'json']));
}
