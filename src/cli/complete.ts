// The hidden `ambientctl __complete`: candidates for the last of the words so far, from the command tree and from the
// running lab.
import type { Command as Commander, Option } from 'commander';
import { findLab, type LabClient, listLabs } from '../lab/control-client.ts';
import { waypointClasses } from '../model/waypoints.ts';
import type { Command } from './command.ts';
import type { CliIo } from './io.ts';

/** A candidate and what it is. */
type Candidate = readonly [value: string, about: string];

/** Prints one candidate per line; never fails, since a completion that complains is worse than none. */
export function complete(program: Commander, io: CliIo): Command {
  return async (context) => {
    const words = context.args.length > 0 ? context.args : [''];
    const candidates = await candidatesFor(program, words, io);
    if (candidates === 'files') io.stdout.write(':files\n');
    else io.stdout.write(candidates.map(([value, about]) => `${value}\t${about}\n`).join(''));
    return 0;
  };
}

/** Candidates that begin with the last word; 'files' where the shell knows better. */
export async function candidatesFor(
  program: Commander,
  words: readonly string[],
  io: CliIo,
): Promise<readonly Candidate[] | 'files'> {
  const current = words.at(-1) ?? '';
  const position = walk(program, words.slice(0, -1));
  const found = await candidatesAt(position, current, io);
  if (found === 'files') return found;
  return found.filter(([value]) => value.startsWith(current));
}

interface Position {
  readonly command: Commander;
  /** The option whose value comes next. */
  readonly pending: Option | null;
  readonly positional: readonly string[];
  readonly values: ReadonlyMap<string, string>;
}

function walk(program: Commander, words: readonly string[]): Position {
  let command = program;
  let pending: Option | null = null;
  let positional: string[] = [];
  const values = new Map<string, string>();
  for (const word of words) {
    if (pending !== null) {
      values.set(pending.attributeName(), word);
      pending = null;
    } else if (word.startsWith('-')) {
      const option = command.options.find((one) => one.short === word || one.long === word);
      if (option?.required) pending = option;
    } else {
      const next = command.commands.find((one) => one.name() === word);
      if (next === undefined) positional.push(word);
      else [command, positional] = [next, []];
    }
  }
  return { command, pending, positional, values };
}

async function candidatesAt(position: Position, current: string, io: CliIo): Promise<readonly Candidate[] | 'files'> {
  const { command, pending, positional, values } = position;
  if (pending !== null) {
    if (pending.argChoices !== undefined) return pending.argChoices.map((choice) => [choice, '']);
    return live(optionNames[pending.attributeName()] ?? 'files', position, io);
  }
  if (current.startsWith('-')) {
    const visible = command.options.filter((option) => !option.hidden && !values.has(option.attributeName()));
    return visible.map((option): Candidate => [option.long ?? option.short ?? '', option.description]);
  }
  const subcommands = command.createHelp().visibleCommands(command);
  if (subcommands.length > 0) return subcommands.map((one): Candidate => [one.name(), one.summary()]);
  const argument = command.registeredArguments[positional.length] ?? command.registeredArguments.at(-1);
  return argument === undefined ? [] : live(argumentNames[argument.name()] ?? 'none', position, io);
}

type NameKind =
  | 'labs'
  | 'nodes'
  | 'pods'
  | 'parts'
  | 'places'
  | 'ends'
  | 'namespaces'
  | 'accounts'
  | 'kinds'
  | 'shells'
  | 'files'
  | 'none';

const optionNames: Readonly<Record<string, NameKind>> = {
  lab: 'labs',
  node: 'nodes',
  namespace: 'namespaces',
  file: 'files',
};
const argumentNames: Readonly<Record<string, NameKind>> = {
  name: 'labs',
  pod: 'pods',
  where: 'places',
  part: 'parts',
  from: 'ends',
  to: 'ends',
  node: 'nodes',
  peer: 'nodes',
  account: 'accounts',
  kind: 'kinds',
  shell: 'shells',
};

const staticNames: Partial<Record<NameKind, readonly string[]>> = {
  shells: ['bash', 'zsh', 'fish'],
  kinds: [
    'pods',
    'services',
    'deployments',
    'namespaces',
    'nodes',
    'endpointslices',
    'authorizationpolicies',
    'peerauthentications',
    'certificaterevocations',
  ],
  none: [],
};

async function live(kind: NameKind, position: Position, io: CliIo): Promise<readonly Candidate[] | 'files'> {
  if (kind === 'files') return 'files';
  const known = staticNames[kind];
  if (known !== undefined) return known.map((name) => [name, '']);
  try {
    if (kind === 'labs') return listLabs().map((lab): Candidate => [lab.name, 'running lab']);
    const lab = findLab(position.values.get('lab') ?? (io.env.AMBIENT_LAB || undefined));
    return await namesOf(lab, kind, position.values.get('namespace'));
  } catch {
    return []; // no lab: nothing to name
  }
}

async function namesOf(
  lab: Pick<LabClient, 'status' | 'get'>,
  kind: NameKind,
  namespace: string | undefined,
): Promise<Candidate[]> {
  const status = await lab.status();
  const inScope = status.pods.filter((pod) => namespace === undefined || pod.namespace === namespace);
  const nodes = status.nodes.map((node): Candidate => [node.name, 'node']);
  const nodeParts = nodes.map(([name]): Candidate => [`node/${name}`, 'node proxy']);
  const unique = (names: readonly string[], about: string): Candidate[] =>
    [...new Set(names)].map((name): Candidate => [name, about]);
  const deployments = inScope.flatMap(({ owner, namespace: space }) => {
    if (owner?.kind !== 'Deployment') return [];
    return [namespace === undefined ? `${space}/deploy/${owner.name}` : `deploy/${owner.name}`];
  });
  const pods = [
    ...unique(deployments, 'a pod of it'),
    ...inScope.map((pod): Candidate => [`${pod.namespace}/${pod.name}`, `pod on ${pod.node}`]),
  ];
  switch (kind) {
    case 'nodes':
      return nodes;
    case 'pods':
      return pods;
    case 'places':
      return [...nodeParts, ...pods];
    case 'parts': {
      const gateways = (await lab.get('gateways', undefined, namespace).catch(() => [])).filter(isWaypoint);
      const waypoints = gateways.map(({ metadata }): Candidate => {
        const { namespace: space, name } = metadata as { namespace?: string; name?: string };
        return [`waypoint/${space}/${name}`, 'waypoint'];
      });
      return [...nodeParts, ...waypoints, ['controller', ''], ...pods];
    }
    case 'namespaces':
      return unique(
        status.pods.map((pod) => pod.namespace),
        'namespace',
      );
    case 'accounts':
      return unique(
        inScope.map((pod) => `${pod.namespace}/${pod.serviceAccount}`),
        'service account',
      );
    case 'ends': {
      const services = await lab.get('services', undefined, namespace);
      const names = services.map((one) => one.metadata as { name?: string; namespace?: string } | undefined);
      return [...pods, ...names.map((one): Candidate => [`svc/${one?.name}.${one?.namespace}`, 'service'])];
    }
    default:
      return [];
  }
}

function isWaypoint(gateway: Readonly<Record<string, unknown>>): boolean {
  return waypointClasses.includes(
    (gateway['spec'] as { gatewayClassName?: string } | undefined)?.gatewayClassName ?? '',
  );
}
