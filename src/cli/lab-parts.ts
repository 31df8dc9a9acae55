// `ambientctl lab logs | restart | fault | token`: what one does to the parts of a lab.
import { MeshError } from '../base/errors.ts';
import type { LabClient } from '../lab/control-client.ts';
import type { LabFault, LabPart, RestartResult } from '../lab/control-types.ts';
import { type Command, type CommandContext, durationOption, flagOption, textOption } from './command.ts';
import { labOf, parsePart } from './which-mesh.ts';

/** Prints the log of a pod, a node proxy or the controller; goes on with `--follow` until Ctrl-C. */
export const labLogs: Command = async (context) => {
  const part = partOf(context, context.args[0] ?? '');
  const options = { follow: flagOption(context, 'follow'), access: flagOption(context, 'access') };
  const lab = labOf(context);
  await checkPart(lab, part);
  const lines = lab.logs(part, options)[Symbol.asyncIterator]();
  const stopped = new Promise<'stopped'>((resolve) => {
    context.io.interruption().addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  for (;;) {
    const next = await Promise.race([lines.next(), stopped]);
    if (next === 'stopped' || next.done === true) break;
    context.io.stdout.write(`${next.value}\n`);
  }
  // Not awaited: the reader may be waiting for a line that never comes, and the process is about to end.
  void lines.return?.();
  return 0;
};

/** Restarts a node proxy or the controller; says how the drain of one that was replaced went. */
export const labRestart: Command = async (context) => {
  const name = context.args[0] ?? '';
  const part = partOf(context, name);
  const [rolling, kill] = [flagOption(context, 'rolling'), flagOption(context, 'kill')];
  if (rolling && kill) throw new MeshError('USAGE', { reason: '--rolling and --kill exclude each other' });
  const timeoutMs = durationOption(context, 'timeout', 60_000);
  const { replaced } = await labOf(context).restart(part, { rolling, kill }, timeoutMs);
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
    const lab = labOf(context);
    if ('node' in fault) await checkNodes(lab, 'peer' in fault ? [fault.node, fault.peer] : [fault.node]);
    await lab.fault(fault);
    return { data: fault, text: () => `done: ${[type, ...context.args].join(' ')}\n` };
  };
}

/** A log that is streamed can no longer say that there is none, so this is asked before. */
async function checkPart(lab: LabClient, part: LabPart): Promise<void> {
  if (part.kind === 'node') await checkNodes(lab, [part.name]);
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

function faultOf(type: LabFault['type'], context: CommandContext): LabFault {
  const [first = '', second = ''] = context.args;
  const node = first.replace(/^node\//, '');
  switch (type) {
    case 'cut':
    case 'heal':
      return { type, node };
    case 'partition':
      return { type, node, peer: second.replace(/^node\//, '') };
    case 'loss':
      return { type, node, ratio: ratioOf(second) };
    case 'delay': {
      const delayMs = durationOption({ ...context, options: { delay: second } }, 'delay', 0);
      return { type, node, delayMs };
    }
    default:
      return { type, part: partOf(context, first) };
  }
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
