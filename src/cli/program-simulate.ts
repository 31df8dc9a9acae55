// The options of `ambientctl simulate`.
import type { Command as Commander } from 'commander';
import { type Act, collect, examples, withMesh } from './program-options.ts';

/** Adds the command. */
export function addSimulateCommand(program: Commander, act: Act): void {
  withMesh(program.command('simulate'))
    .summary('what would this change break, judged by flows that were really seen')
    .description(
      'Takes manifests to apply and objects to delete, and flows that the proxies remember or that were saved, and says which of ' +
        'them would be refused, sent elsewhere or newly allowed, and by which line. Nothing is changed. With --strict: can STRICT ' +
        'be turned on?',
    )
    .option('-f, --file <path>', 'manifests that would be applied; - is standard input (repeatable)', collect)
    .option(
      '--delete <object>',
      'KIND/NAMESPACE/NAME that would be deleted, or KIND/NAME with -n (repeatable)',
      collect,
    )
    .option('--flows <file>', 'flows that were saved by tap -o json, instead of those of the mesh; - is standard input')
    .option('--last <duration>', 'only flows that ended in the last 10m, 1h, …')
    .option('--mesh <path>', 'manifests of the mesh as it is, instead of a lab or a cluster (repeatable)', collect)
    .option('--strict', 'can mutual TLS be demanded: who still calls in plaintext')
    .option('-n, --namespace <ns>', 'with --strict: of this namespace alone; else where --delete finds KIND/NAME')
    .addHelpText(
      'after',
      examples([
        ['ambientctl simulate -f policy.yaml', 'exit 1 when a flow of the recent past would be refused'],
        ['ambientctl simulate --delete AuthorizationPolicy/shop/payments-from-checkout --last 10m', ''],
        ['ambientctl simulate --strict -n shop', 'who would be cut off'],
        ['ambientctl tap --all-sides --since 1h -o json > flows.json', 'save flows, for later and for CI:'],
        ['ambientctl simulate --mesh deploy/ -f change.yaml --flows flows.json', 'without any mesh that runs'],
      ]),
    )
    .action(act(async () => (await import('./simulate.ts')).simulate));
}
