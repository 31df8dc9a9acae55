// The options of `ambientctl check`.
import { type Command as Commander, Option } from 'commander';
import { type Act, examples, withCluster } from './program-options.ts';

const formats = ['table', 'short', 'json', 'yaml'];

/** Adds the command. */
export function addCheckCommand(program: Commander, act: Act): void {
  withCluster(program.command('check'))
    .summary('is the mesh as it should be, and what to do where it is not')
    .description(
      'Checks controller, proxies, nodes, configuration and certificates of a mesh that runs; with --pre, whether Ambient can be ' +
        'installed in a cluster. A warning is no failure.',
    )
    .option('--pre', 'before the installation: the cluster, and what you may do there')
    .option('--wait <duration>', 'check again until all is well, or 60s, 5m, … are over')
    .addOption(
      new Option('-o, --output <format>', 'how it is printed; short is what is wrong')
        .choices(formats)
        .default('table'),
    )
    .addHelpText(
      'after',
      examples([
        ['ambientctl check --pre', 'then: helm install, or ambientctl install'],
        ['ambientctl check --wait 5m', 'after it'],
        ['ambientctl check -o short', 'for scripts: exit 1 when something is wrong'],
      ]),
    )
    .action(act(async () => (await import('./check.ts')).check));
}
