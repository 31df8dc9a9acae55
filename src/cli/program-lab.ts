// The `ambientctl lab …` branch of the command tree: names, options and help.
import { type Command as Commander, Option } from 'commander';
import type { LabFault } from '../lab/control-types.ts';
import {
  type Act,
  collect,
  examples,
  listFormats,
  withLab,
  withLabAlone,
  withOutput,
  withSelector,
} from './program-options.ts';

const partHelp = 'NS/POD, deploy/NAME (with -n), node/NAME, waypoint/NS/NAME or controller';

/** Adds the branch to `program`. */
export function addLabCommands(program: Commander, act: Act): void {
  const lab = program
    .command('lab')
    .helpCommand(false)
    .summary('a whole mesh on this machine, from ordinary manifests')
    .description(
      'Runs a whole mesh on this machine: nodes and pods are network namespaces, the rest is real. No root needed.',
    )
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab up -f deploy/samples/shop', 'start; returns when all is ready'],
        ['ambientctl lab exec -n shop deploy/web -- curl -s http://catalog/', 'be a pod'],
        ['ambientctl lab apply -f policy.yaml', 'in force when it returns'],
        ['ambientctl lab logs --access node/node-1', 'one line per connection'],
        ['ambientctl lab fault cut node-2', 'pull the plug; heal puts it back'],
        ['ambientctl lab down', 'nothing is left behind'],
      ]),
    );
  addLife(lab, act);
  addObjects(lab, act);
  addParts(lab, act);
  addFaults(lab, act);
}

function addLife(lab: Commander, act: Act): void {
  withOutput(lab.command('up'))
    .argument('[name]', 'name of the lab; default AMBIENT_LAB, or lab')
    .summary('start a lab from manifests')
    .description(
      'Starts a lab and returns when every pod is ready and every proxy in step; exit 1 with the reason otherwise.',
    )
    .option('-f, --file <path...>', 'manifests, or folders of them; watched while the lab runs', collect)
    .option('--nodes <n>', 'how many nodes, when the manifests have no Node')
    .option('--pod-network <kind>', 'how pods hang on their node: routed (default), ptp, bridge')
    .option(
      '--image <image=command>',
      'what runs for an image (repeatable); ambient/echo and ambient/load are built in',
      collect,
    )
    .option('--timeout <duration>', 'how long readiness may take', '60s')
    .addOption(
      new Option('--capture <backend>', "where node proxies capture: in the node's network, or in each pod's").choices([
        'host',
        'pod',
      ]),
    )
    .option('--rootfs <dir>', "run the mesh's own programs from their image, as `npm run image` makes it; as root")
    .option('--api-server', 'serve the cluster through the Kubernetes API too, for kubectl on this machine')
    .option('--write-kubeconfig <file>', 'put the kubeconfig there, readable by you alone (implies --api-server)')
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab up -f deploy/samples/shop', ''],
        ['ambientctl lab up -f deploy/samples/shop --api-server', 'prints how kubectl reaches it'],
        [
          "ambientctl lab up ci -f manifests/ --image 'registry/app:1=node app.js'",
          'run your own program for an image',
        ],
      ]),
    )
    .action(act(async () => (await import('./lab-up.ts')).labUp));
  addEnds(lab, act);
  addWaysIn(lab, act);
}

function addEnds(lab: Commander, act: Act): void {
  withLabAlone(lab.command('down'))
    .argument('[name]')
    .summary('end a lab and everything in it')
    .description('Ends a lab; no process, namespace, rule or file of it is left.')
    .addHelpText('after', examples([['ambientctl lab down', 'the only one that runs']]))
    .action(act(async () => (await import('./lab-up.ts')).labDown));
  withOutput(lab.command('list'), listFormats)
    .summary('running labs')
    .description('Lists running labs.')
    .addHelpText('after', examples([['ambientctl lab list -o json', 'names, processes, since when']]))
    .action(act(async () => (await import('./lab-up.ts')).labList));
  withLabAlone(lab.command('kubeconfig'))
    .argument('[name]')
    .summary('path of the kubeconfig of a lab with an API server')
    .description('Prints the path of a kubeconfig, good while the lab runs, and nothing else.')
    .option('--write <file>', 'put a copy there, readable by you alone')
    .addHelpText('after', examples([['export KUBECONFIG=$(ambientctl lab kubeconfig)', 'then kubectl get pods -A']]))
    .action(act(async () => (await import('./lab-up.ts')).labKubeconfig));
  withLabAlone(lab.command('status'))
    .argument('[name]')
    .summary('nodes and pods of a lab')
    .description('Shows nodes and pods of a lab; exit 1 while something is not ready.')
    .addHelpText('after', examples([['ambientctl lab status', 'exit 1 while a pod is not ready']]))
    .action(act(async () => (await import('./lab-up.ts')).labStatus));
}

function addWaysIn(lab: Commander, act: Act): void {
  withLab(lab.command('exec'))
    .argument('<pod>', 'NS/POD, POD or deploy/NAME (with -n)')
    .argument('[command...]', 'after --')
    .summary('run a command in a pod')
    .description('Runs a command in a pod; stdin, stdout, stderr, exit code and signals pass through.')
    .option('-n, --namespace <ns>', 'namespace of the pod', 'default')
    .option('-c, --container <name>', 'container; default the first')
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab exec -n shop deploy/web -- curl -s http://catalog/', ''],
        ['ambientctl lab exec shop/web-1 -- sh', 'a shell in a pod'],
      ]),
    )
    .action(act(async () => (await import('./lab-enter.ts')).labExec));
  withLab(lab.command('shell'))
    .argument('<where>', 'node/NAME or NS/POD')
    .argument('[command...]', 'after --; default a shell')
    .summary("a shell in the network namespace of a node or pod, with the host's programs")
    .description("Runs a shell or a command in the network namespace of a node or pod, with the host's programs.")
    .option('-n, --namespace <ns>', 'namespace of the pod', 'default')
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab shell node/node-1 -- nft list ruleset', 'the capture rules'],
        ['ambientctl lab shell node/node-1 -- tcpdump -ni any port 15008', 'see that it is encrypted'],
      ]),
    )
    .action(act(async () => (await import('./lab-enter.ts')).labShell));
}

function addObjects(lab: Commander, act: Act): void {
  for (const verb of ['apply', 'delete'] as const) {
    withLabAlone(lab.command(verb))
      .summary(verb === 'apply' ? 'create or change objects' : 'delete objects')
      .description(
        verb === 'apply'
          ? 'Applies manifests; returns when every proxy is in step. Refused objects are named, exit 1, none applied.'
          : 'Deletes the objects that manifests name; returns when every proxy is in step.',
      )
      .option('-f, --file <path...>', 'manifests, folders of them, or - for standard input', collect)
      .option('--timeout <duration>', 'how long the proxies may take', '60s')
      .addHelpText(
        'after',
        examples([
          [`ambientctl lab ${verb} -f policies/ extra.yaml`, 'folders and files'],
          [`generate | ambientctl lab ${verb} -f -`, 'standard input'],
        ]),
      )
      .action(
        act(async () => {
          const module = await import('./lab-objects.ts');
          return verb === 'apply' ? module.labApply : module.labDelete;
        }),
      );
  }
  withSelector(withLabAlone(lab.command('get'), listFormats), 'only objects')
    .argument('<kind>', 'pods, services, deployments, authorizationpolicies, …')
    .argument('[name]')
    .summary('objects as the lab has them')
    .description("Shows objects of the lab's API server, in every namespace unless -n names one.")
    .option('-n, --namespace <ns>', 'only this namespace')
    .option('-A, --all-namespaces', 'every namespace, as it is without -n')
    .option('--show-labels', 'with a column of labels')
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab get pods -n shop', ''],
        ['ambientctl lab get pods -l app=web -o name', 'names alone, for xargs'],
        ['ambientctl lab get svc catalog -n shop -o yaml', 'as the API server has it'],
        ['ambientctl lab get events -n shop', 'what the controller told: endpoints that were ejected, …'],
      ]),
    )
    .action(act(async () => (await import('./lab-objects.ts')).labGet));
}

function addParts(lab: Commander, act: Act): void {
  withLab(lab.command('logs'))
    .argument('<part>', `${partHelp}, or lab for the lab's own`)
    .summary('the log of a pod, a node proxy, a waypoint, the controller or the lab')
    .description('Prints the log of a pod, a node proxy, a waypoint (all its pods), the controller, or the lab itself.')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--access', 'the access log of a node or waypoint only: one line per connection')
    .option('-n, --namespace <ns>', 'namespace of the pod', 'default')
    .option('-c, --container <name>', 'container; default the first')
    .addHelpText('after', examples([['ambientctl lab logs -f --access node/node-1', 'every connection as it ends']]))
    .action(act(async () => (await import('./lab-parts.ts')).labLogs));
  withLabAlone(lab.command('restart'))
    .argument('<part>', 'node/NAME, waypoint/NS/NAME or controller')
    .summary('restart a node proxy, a waypoint or the controller')
    .description(
      'Restarts a node proxy, a waypoint or the controller; returns when the new one is ready. With --rolling it also ' +
        'waits until the old one has drained, and says of a node proxy how many connections were left at its deadline. ' +
        'The pods of a waypoint are then replaced one by one.',
    )
    .option('--rolling', 'start the new one before the old one ends, as a DaemonSet with maxSurge 1 does')
    .option('--kill', 'end the old one with SIGKILL')
    .option('--timeout <duration>', 'how long it may take', '60s')
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab restart node/node-1 --rolling', 'no connection is lost'],
        ['ambientctl lab restart controller --kill', 'what works goes on working'],
      ]),
    )
    .action(act(async () => (await import('./lab-parts.ts')).labRestart));
  withLabAlone(lab.command('token'))
    .argument('<account>', 'NS/SERVICEACCOUNT')
    .summary('a service-account token as the kubelet would project it')
    .description('Prints a service-account token, and nothing else.')
    .option('--pod <name>', 'bind it to this pod')
    .option('--audience <name>', 'for whom it is')
    .addHelpText('after', examples([['ambientctl lab token shop/web --audience payments', 'an hour of being web']]))
    .action(act(async () => (await import('./lab-parts.ts')).labToken));
}

interface FaultHelp {
  readonly type: LabFault['type'];
  readonly args: readonly string[];
  readonly summary: string;
  /** Words of an example, and what it does. */
  readonly example: readonly [string, string];
  readonly more?: string;
}

const linkHelp = 'A link is that of a node to the others (NODE) or of a pod to its node (NS/POD).';
const late = 'Made by netem where the kernel has it, else by a program of the lab that is put into the link.';

const faults: readonly FaultHelp[] = [
  {
    type: 'cut',
    args: ['<link>'],
    summary: 'let nothing pass on a link',
    example: ['node-2', 'no node and no controller reaches node-2; heal node-2 puts it back'],
  },
  {
    type: 'partition',
    args: ['<node>', '<peer>'],
    summary: 'let no packet pass between two nodes, or a node and the controller',
    example: ['node-1 node-2', 'both still reach the controller'],
    more: 'A peer that is `controller` is its discovery port alone: partition node-1 controller.',
  },
  {
    type: 'loss',
    args: ['<link>', '<share>'],
    summary: 'drop a share of the packets (10%, 0.1)',
    example: ['node-2 10%', 'one packet of ten, each way'],
  },
  {
    type: 'delay',
    args: ['<link>', '<duration>'],
    summary: 'make packets late (50ms)',
    example: ['shop/web-1 50ms', '100 ms more for a round trip of this pod'],
    more: late,
  },
  {
    type: 'reorder',
    args: ['<link>', '<share>', '[duration]'],
    summary: 'let a share of the packets overtake the others',
    example: ['node-2 25% 10ms', 'a quarter goes at once, the others 10 ms later'],
    more: late,
  },
  {
    type: 'rate',
    args: ['<link>', '<rate>'],
    summary: 'let no more than this pass (10mbit, 512kbit)',
    example: ['node-2 10mbit', '10 megabit per second, each way'],
  },
  {
    type: 'stop',
    args: ['<part>'],
    summary: 'SIGSTOP a part; cont lets it go on',
    example: ['controller', 'proxies go on with what they know'],
  },
  {
    type: 'cont',
    args: ['<part>'],
    summary: 'let a stopped or slow part go on',
    example: ['controller', 'it goes on where it was'],
  },
  {
    type: 'kill',
    args: ['<part>'],
    summary: 'SIGKILL a part; its supervisor starts it again',
    example: ['node/node-1', 'nothing is sent in the clear, and it comes back'],
  },
  {
    type: 'down',
    args: ['<part>'],
    summary: 'SIGKILL a node proxy or the controller, and do not start it again',
    example: ['node/node-2', 'its pods reach nobody in the mesh until heal'],
  },
  {
    type: 'bad-token',
    args: ['<node>'],
    summary: "give a node's proxy a token that the controller refuses",
    example: ['node-2', 'what runs goes on; certificates do not renew'],
  },
  {
    type: 'slow',
    args: ['<part>', '<share>'],
    summary: 'let a part run only a share of the time (10%)',
    example: ['node/node-2 10%', '10 ms of each 100, as on a machine that has far too much to do'],
  },
  {
    type: 'disk-full',
    args: ['<node>'],
    summary: "leave no room where a node's proxy saves its state",
    example: ['node-1', 'it goes on; a restart starts from the state before'],
  },
  {
    type: 'garbage',
    args: [],
    summary: 'let a controller answer that makes no sense',
    example: ['', 'what proves to be the controller answers every call with random bytes'],
    more: 'Proxies keep what they have; pods that start meanwhile wait. Heal it with: ambientctl lab fault heal',
  },
  {
    type: 'heal',
    args: ['[what]'],
    summary: 'end the faults of a node, pod or part, or all',
    example: ['', 'ends every fault; lab status lists those in force'],
  },
];

function addFaults(lab: Commander, act: Act): void {
  const fault = lab
    .command('fault')
    .helpCommand(false)
    .summary('break links and parts, and heal them')
    .description(
      `Breaks a part of the lab. A part is ${partHelp}. ${linkHelp} Faults add up, and stay until they are healed. ` +
        'A wall clock that is wrong cannot be had: Linux shifts only the other clocks of a process.',
    )
    .addHelpText(
      'after',
      examples([
        ['ambientctl lab fault delay node-2 50ms', ''],
        ['ambientctl lab fault loss shop/web-1 10%', ''],
        ['ambientctl lab fault partition node-1 node-2', 'both still reach the controller'],
        ['ambientctl lab fault kill node/node-1', 'SIGKILL: nothing is sent in the clear, and it comes back'],
        ['ambientctl lab status', 'lists the faults that are in force'],
        ['ambientctl lab fault heal', 'undo everything'],
      ]),
    );
  for (const { type, args, summary, example, more } of faults) {
    const about = `${summary[0]?.toUpperCase()}${summary.slice(1)}.${more === undefined ? '' : ` ${more}`}`;
    const command = withLabAlone(fault.command(type)).summary(summary).description(about);
    const [words, what] = example;
    command.addHelpText('after', examples([[`ambientctl lab fault ${type} ${words}`.trim(), what]]));
    for (const arg of args) command.argument(arg);
    if (args.some((arg) => /part|link|what/.test(arg))) {
      command.option('-n, --namespace <ns>', 'namespace of the pod', 'default');
    }
    command.action(act(async () => (await import('./lab-parts.ts')).labFault(type)));
  }
}
