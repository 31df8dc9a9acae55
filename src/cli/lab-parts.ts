// `ambientctl lab logs | restart | fault | token`: what one does to the parts of a lab.
import { MeshError } from '../base/errors.ts';
import { untilAborted } from '../base/line-streams.ts';
import type { LabClient } from '../lab/control-client.ts';
import type { LabFault, LabLink, LabPart, RestartResult } from '../lab/control-types.ts';
import { type Command, type CommandContext, durationOption, flagOption, textOption } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { waiting } from './progress.ts';
import { labOf, parsePart } from './which-mesh.ts';

/** Prints the log of a pod, a node proxy, the controller or the lab itself; goes on with `--follow` until Ctrl-C. */
export const labLogs: Command = async (context) => {
  const part = partOf(context, context.args[0] ?? '');
  const options = { follow: flagOption(context, 'follow'), access: flagOption(context, 'access') };
  if (options.access && part.kind !== 'node' && part.kind !== 'waypoint') {
    const reason =
      'access logs are those of node proxies and waypoints; for every connection of a node: lab logs --access node/NAME';
    throw new MeshError('USAGE', { reason });
  }
  const lab = labOf(context);
  await checkPart(lab, part);
  const { io } = context;
  for await (const line of untilAborted(lab.logs(part, options), io.interruption())) io.stdout.write(`${line}\n`);
  return exitCodes.fine;
};

/** Restarts a node proxy or the controller; says how the drain of one that was replaced went. */
export const labRestart: Command = async (context) => {
  const name = context.args[0] ?? '';
  const part = partOf(context, name);
  if (part.kind === 'lab')
    throw new MeshError('USAGE', { reason: 'restart wants node/NAME, waypoint/NS/NAME or controller' });
  const [rolling, kill] = [flagOption(context, 'rolling'), flagOption(context, 'kill')];
  if (rolling && kill) throw new MeshError('USAGE', { reason: '--rolling and --kill exclude each other' });
  const timeoutMs = durationOption(context, 'timeout', 60_000);
  const lab = labOf(context);
  const wait = { what: `${name} to be ready`, leaves: 'the restart goes on', onTerminalOnly: true };
  const { replaced } = await waiting(context.io, wait, () => lab.restart(part, { rolling, kill }, timeoutMs));
  const text = () => `${name} was restarted and is ready\n${replaced === null ? '' : drainText(replaced)}`;
  return { data: { part, restarted: true, replaced }, text };
};

function drainText({ pid, exitCode, left }: NonNullable<RestartResult['replaced']>): string {
  if (exitCode === null) return `the old process ${pid} still drains\n`;
  const what =
    left === 0 ? 'every connection of it ended in its own time' : `${left ?? 'unknown'} connections were reset`;
  return `the old process ${pid} has drained and ended with ${exitCode}: ${what}\n`;
}

/** A fault of a link or a part, by the sub-command's name. */
export function labFault(type: LabFault['type']): Command {
  return async (context) => {
    const fault = faultOf(type, context);
    await labOf(context).fault(fault);
    return { data: fault, text: () => `done: ${[type, ...context.args].join(' ')}\n` };
  };
}

/** A log that is streamed can no longer say that there is none, so this is asked before. */
async function checkPart(lab: LabClient, part: LabPart): Promise<void> {
  if (part.kind === 'node') await checkNodes(lab, [part.name]);
  if (part.kind === 'waypoint') await lab.get('Gateway', part.name, part.namespace);
  if (part.kind !== 'pod') return;
  const deployment = /^deploy\/(.+)$/.exec(part.name)?.[1];
  if (deployment === undefined) await lab.get('Pod', part.name, part.namespace);
  else await lab.get('Deployment', deployment, part.namespace);
}

async function checkNodes(lab: LabClient, names: readonly string[]): Promise<void> {
  const known = (await lab.status()).nodes.map((node) => node.name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new MeshError('NOT_FOUND', { what: `node ${unknown}`, hint: `there are ${known.join(', ')}` });
}

const reorderDelayMs = 10;

function faultOf(type: LabFault['type'], context: CommandContext): LabFault {
  const [first = '', second = '', third] = context.args;
  const node = first.replace(/^node\//, '');
  const duration = (text: string | undefined, fallback: number): number =>
    durationOption({ ...context, options: text === undefined ? {} : { delay: text } }, 'delay', fallback);
  switch (type) {
    case 'cut':
      return { type, ...linkOf(context, first) };
    case 'heal': {
      if (first === '') return { type };
      const link = linkOf(context, first);
      return link.node !== undefined ? { type, node: link.node } : { type, part: partOf(context, first) };
    }
    case 'partition':
      return { type, node, peer: second.replace(/^node\//, '') };
    case 'loss':
      return { type, ...linkOf(context, first), ratio: ratioOf(second) };
    case 'reorder':
      return { type, ...linkOf(context, first), ratio: ratioOf(second), delayMs: duration(third, reorderDelayMs) };
    case 'delay':
      return { type, ...linkOf(context, first), delayMs: duration(second, 0) };
    case 'rate':
      return { type, ...linkOf(context, first), bitsPerSecond: bitsOf(second) };
    case 'slow':
      return { type, part: partOf(context, first), ratio: ratioOf(second) };
    case 'disk-full':
    case 'bad-token':
      return { type, node };
    case 'garbage':
      return { type };
    default:
      return { type, part: partOf(context, first) };
  }
}

/** `node-2` and `node/node-2` are a node's link, `NS/POD` is a pod's. */
function linkOf(context: CommandContext, name: string): LabLink {
  if (!name.includes('/') && name !== 'controller') return { node: name };
  const part = partOf(context, name);
  if (part.kind === 'node') return { node: part.name };
  if (part.kind === 'pod') return { pod: { namespace: part.namespace, name: part.name } };
  return { pod: { namespace: '', name } };
}

const bitUnits = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 } as const;

function bitsOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)$/.exec(text);
  const bits = match === null ? 0 : Number(match[1]) * bitUnits[match[2] as keyof typeof bitUnits];
  if (bits < 1) throw new MeshError('USAGE', { reason: `'${text}' is no rate like 10mbit or 512kbit` });
  return Math.round(bits);
}

function ratioOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  const ratio = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (!(ratio >= 0 && ratio <= 1)) throw new MeshError('USAGE', { reason: `'${text}' is no share like 10% or 0.1` });
  return ratio;
}

/** Prints a service-account token, and nothing else, so that it can stand in `$(…)`. */
export const labToken: Command = async (context) => {
  const [namespace, account, ...rest] = (context.args[0] ?? '').split('/');
  if (!namespace || !account || rest.length > 0) {
    throw new MeshError('USAGE', { reason: `'${context.args[0]}' is not NAMESPACE/SERVICEACCOUNT` });
  }
  const pod = textOption(context, 'pod');
  const audience = textOption(context, 'audience');
  const options = { ...(pod === undefined ? {} : { pod }), ...(audience === undefined ? {} : { audience }) };
  const token = await labOf(context).token(namespace, account, options);
  return { data: { token }, text: () => `${token}\n` };
};

function partOf(context: CommandContext, name: string): LabPart {
  const container = textOption(context, 'container');
  const part = parsePart(name, textOption(context, 'namespace'));
  return part.kind === 'pod' && container !== undefined ? { ...part, container } : part;
}
