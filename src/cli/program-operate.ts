// The commands that change a running mesh: enrolment, waypoints.
import { type Command as Commander, Option } from 'commander';
import { type Act, collect, examples, withCluster, withMesh, withOutput, withSelector } from './program-options.ts';

const trafficTypes = ['service', 'workload', 'all', 'none'];
const formats = ['table', 'json', 'yaml', 'name'];
const withFormats = (command: Commander, more: readonly string[] = []): Commander =>
  withOutput(withCluster(command), [...formats, ...more]);

/** Adds `enroll`, `unenroll` and `waypoint …`. */
export function addOperateCommands(program: Commander, act: Act): void {
  addEnrolment(program, act);
  addWaypoints(program, act);
  addLog(program, act);
  addSysdump(program, act);
}

const targetHelp = 'NAMESPACE, ns/NAME, deploy/NAME, sts/NAME, ds/NAME or svc/NAME; with -l a kind: ns, deploy, …';

function addEnrolment(program: Commander, act: Act): void {
  const enrolled = withSelected(withFormats(program.command('enroll')))
    .argument('[targets...]', targetHelp)
    .summary('put namespaces or workloads into the mesh, services behind a waypoint')
    .description(
      'Sets the label that puts pods into the mesh and says which join, and which do not and why. Pods of an enrolled namespace ' +
        'need no restart; those of a single workload are replaced, since the label is on their template.',
    )
    .option('-n, --namespace <ns>', 'where deploy/NAME, svc/NAME, … are', 'default')
    .option('--waypoint <name>', 'go through this waypoint too; a service: this alone');
  withWaiting(enrolled)
    .addHelpText(
      'after',
      examples([
        ['ambientctl enroll shop --wait', 'a namespace; returns when every proxy has it'],
        ['ambientctl enroll -l team=shop --wait', 'every namespace with this label'],
        ['ambientctl enroll deploy/web -n shop', 'one workload of a namespace that is not enrolled'],
        ['ambientctl enroll deploy -l tier=front -n shop', 'the workloads of a namespace with this label'],
        ['ambientctl enroll svc/reviews -n shop --waypoint waypoint', 'one service, through a waypoint'],
        ['ambientctl enroll shop --dry-run > enroll.yaml', 'for kubectl apply --server-side, or a repository'],
      ]),
    )
    .action(act(async () => (await import('./enroll.ts')).enroll('enroll')));
  const unenrolled = withSelected(withFormats(program.command('unenroll')))
    .argument('[targets...]', targetHelp)
    .summary('take namespaces or workloads out of the mesh')
    .description(
      'Takes the label away again, and says which policies are enforced no more. What its namespace enrols is labelled none.',
    )
    .option('-n, --namespace <ns>', 'where deploy/NAME, svc/NAME, … are', 'default')
    .option('--waypoint', 'only leave the waypoint, and stay in the mesh');
  withWaiting(unenrolled)
    .addHelpText(
      'after',
      examples([
        ['ambientctl unenroll shop --dry-run', 'what it would change'],
        ['ambientctl unenroll deploy/web -n shop --wait', 'one workload of an enrolled namespace'],
        ['ambientctl unenroll shop --waypoint', 'without a waypoint, still in the mesh'],
      ]),
    )
    .action(act(async () => (await import('./enroll.ts')).enroll('unenroll')));
}

function withSelected(command: Commander): Commander {
  return withSelector(command, 'instead of names: those of a kind, without one namespaces,');
}

function withWaiting(command: Commander): Commander {
  return command
    .option('--dry-run', 'print the manifests, and change nothing')
    .option('--wait', 'return when every proxy has it')
    .option('--timeout <duration>', 'how long --wait may take', '60s');
}

function addSysdump(program: Commander, act: Act): void {
  withCluster(program.command('sysdump'))
    .summary('one archive of everything that helps somebody else to help, without secrets')
    .description(
      'Collects status, what each proxy holds, recent flows, metrics, logs, and objects of the mesh (never Secrets) into a .tar.gz ' +
        'and prints its path. Works on what answers; what does not is named, in the archive too, and the exit code is 1.',
    )
    .option('-o, --output-file <file>', 'a .tar.gz; default ambient-sysdump-TIME.tar.gz here')
    .option('--since <duration>', 'logs of the last 30m, 2h, …; default all there are')
    .option('--include <groups>', 'only status, proxies, flows, metrics, logs, objects, system (repeatable)', collect)
    .option('--exclude <groups>', 'without these (repeatable)', collect)
    .option('--dry-run', 'list what it would hold')
    .addHelpText(
      'after',
      examples([
        ['ambientctl sysdump -o incident.tar.gz', 'everything'],
        ['ambientctl sysdump --since 30m --exclude metrics,flows', 'a smaller one'],
        [
          'ambientctl config all -f proxies/node/node-1/config_dump.json',
          'what is in it can be read by other commands',
        ],
      ]),
    )
    .action(act(async () => (await import('./sysdump.ts')).sysdump));
}

function addLog(program: Commander, act: Act): void {
  withMesh(program.command('log'))
    .argument('[part]', 'node/NAME, waypoint/NS/NAME or controller; none: all of them')
    .summary('levels of the logs of the mesh, at run time')
    .description(
      'Shows how much the programs of the mesh log, and changes it while they run. What they say is read with ' +
        '`ambientctl lab logs PART` in a lab, and with kubectl logs in a cluster; connections and requests with ambientctl tap.',
    )
    .option('--level <level>', 'set it: trace, debug, info, warn, error, fatal, silent')
    .option('-r, --reset', 'back to what is configured')
    .option('--duration <duration>', 'with --level: only for 10m, 1h, …; the program itself sets it back')
    .option('--all', 'change every one')
    .option('-n, --namespace <ns>', 'of waypoint/NAME')
    .addHelpText(
      'after',
      examples([
        ['ambientctl log', 'every program, and its level'],
        ['ambientctl log node/node-1 --level debug --duration 10m', 'sets itself back'],
        ['ambientctl log --all --reset', 'as configured, everywhere'],
      ]),
    )
    .action(act(async () => (await import('./log.ts')).log));
}

function addWaypoints(program: Commander, act: Act): void {
  const waypoint = program
    .command('waypoint')
    .helpCommand(false)
    .summary('waypoints: make, list, look into, delete')
    .description('A waypoint is asked for by a Gateway; these commands write it, and say what became of it.')
    .addHelpText(
      'after',
      examples([
        ['ambientctl waypoint apply -n shop --enroll-namespace --wait', 'one for every service of a namespace'],
        ['ambientctl waypoint status -A', 'exit 1 when one is not as it should be'],
        ['ambientctl waypoint delete waypoint -n shop', 'refused while something goes through it, unless -y'],
      ]),
    );
  addWaypointChanges(waypoint, act);
  withSelector(withSpace(withFormats(waypoint.command('list'), ['wide'])), 'only those')
    .summary('waypoints and whether they are programmed')
    .description('Lists waypoints.')
    .addHelpText('after', examples([['ambientctl waypoint list -A -o wide', 'with addresses, and who uses them']]))
    .action(act(async () => (await import('./waypoint.ts')).waypointList));
  withSelector(withSpace(withMesh(waypoint.command('status'))), 'only those')
    .argument('[name]', 'one waypoint; default all')
    .summary('pods, addresses, conditions, and what is wrong')
    .description('Shows whether waypoints are programmed, ready and in step, and why not; exit 1 then.')
    .option('--wait', 'return when it is as it should be; with a name')
    .option('--timeout <duration>', 'how long --wait may take', '60s')
    .addHelpText(
      'after',
      examples([['ambientctl waypoint status waypoint -n shop -o wide', 'with every condition of its Gateway']]),
    )
    .action(act(async () => (await import('./waypoint.ts')).waypointStatus));
  withFormats(waypoint.command('delete'))
    .argument('[names...]', 'of waypoints')
    .summary('take waypoints away')
    .description(
      'Deletes waypoints; asks first while something goes through them, and refuses where nobody can answer.',
    )
    .option('-n, --namespace <ns>', 'their namespace', 'default')
    .option('-l, --selector <selector>', 'those of the namespace with these labels')
    .option('--all', 'every waypoint of the namespace')
    .option('-y, --yes', 'even if something still goes through it')
    .addHelpText(
      'after',
      examples([
        ['ambientctl waypoint delete waypoint -n shop', ''],
        ['ambientctl waypoint delete --all -n shop -y', 'without a question'],
      ]),
    )
    .action(act(async () => (await import('./waypoint.ts')).waypointDelete));
}

function withSpace(command: Commander): Commander {
  return command
    .option('-n, --namespace <ns>', 'only this namespace')
    .option('-A, --all-namespaces', 'every namespace, as it is without -n');
}

function addWaypointChanges(waypoint: Commander, act: Act): void {
  for (const verb of ['apply', 'generate'] as const) {
    const command = verb === 'apply' ? withFormats(waypoint.command(verb)) : withMesh(waypoint.command(verb));
    command
      .argument('[name]', 'the same as --name')
      .summary(verb === 'apply' ? 'make a waypoint' : 'print the manifest of a waypoint')
      .description(
        verb === 'apply'
          ? 'Makes a waypoint, or changes it to what is said here.'
          : 'Prints the Gateway that asks for a waypoint.',
      )
      .option('-n, --namespace <ns>', 'its namespace', 'default')
      .option('--name <name>', 'its name; default waypoint')
      .addOption(new Option('--for <type>', 'which traffic it is for; default service').choices(trafficTypes));
    if (verb === 'apply') {
      command.option('--enroll-namespace', 'let every service of the namespace go through it');
      withWaiting(command);
    }
    const lines: [string, string][] =
      verb === 'apply'
        ? [
            ['ambientctl waypoint apply -n shop --wait', 'returns when it is programmed and in step'],
            ['ambientctl waypoint apply -n shop --name pods --for workload', 'for calls to pods by their addresses'],
          ]
        : [['ambientctl waypoint generate -n shop > waypoint.yaml', 'for a repository']];
    command.addHelpText('after', examples(lines)).action(
      act(async () => {
        const module = await import('./waypoint.ts');
        return verb === 'apply' ? module.waypointApply : module.waypointGenerate;
      }),
    );
  }
}
