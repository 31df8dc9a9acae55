// The options of `ambientctl test`.
import type { Command as Commander } from 'commander';
import { type Act, examples, withMesh } from './program-options.ts';

/** Adds the command. */
export function addTestCommand(program: Commander, act: Act): void {
  withMesh(program.command('test'))
    .summary('proves from end to end that the mesh does what it should')
    .description(
      'Makes two namespaces with clients and servers, on two nodes where there are two, proves one thing after the other, and takes ' +
        'everything away, on Ctrl-C too. What proxies saw is part of the proof.',
    )
    .option('--test <regex>', 'only proofs whose name matches; !REGEX: the others')
    .option('--list', 'the proofs, and no more')
    .option('--junit-file <file>', 'write what came of them, for CI')
    .option('--timeout <duration>', 'for pods and a waypoint to become ready; default 2m')
    .option('--settle <duration>', 'for what is applied to hold everywhere, before a proof fails; default 20s')
    .option('--namespace <prefix>', 'how the names of its namespaces begin; default ambient-test')
    .option('--image <image>', 'of clients and servers; default that of the node proxies')
    .option('--disruptive', 'proofs too that replace node proxies')
    .option('--keep', 'leave the namespaces there, to look at')
    .addHelpText(
      'after',
      examples([
        ['ambientctl test', 'every proof; exit 1 when one fails'],
        ["ambientctl test --test '!waypoint'", 'without those of waypoints'],
        ['ambientctl test --context prod --junit-file mesh.xml', 'a cluster, for CI'],
        ['ambientctl test --test deny --keep', 'one, and look at what it leaves'],
      ]),
    )
    .action(act(async () => (await import('./test.ts')).test));
}
