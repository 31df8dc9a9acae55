// `ambientctl lab exec` and `lab shell`: a program inside a pod or a node, with stdin, stdout, stderr, exit code and
// signals passed through.
import { MeshError } from '../base/errors.ts';
import { runEntered } from '../lab/enter.ts';
import { type Command, type CommandContext, textOption } from './command.ts';
import { labOf, type PartName, parsePart } from './which-mesh.ts';

/** Runs a command in a container, with the container's environment and working directory. */
export const labExec: Command = async (context) => {
  const [where = '', ...argv] = context.args;
  const part = parsePart(where, textOption(context, 'namespace'));
  if (part.kind !== 'pod')
    throw new MeshError('USAGE', { reason: `exec wants a pod; for a node: ambientctl lab shell ${where}` });
  if (argv.length === 0) {
    throw new MeshError('USAGE', { reason: `say what to run: ambientctl lab exec ${where} -- COMMAND` });
  }
  return enter(context, part, argv);
};

/** Runs a shell, or a command, in the network namespace of a node or pod. */
export const labShell: Command = async (context) => {
  const [where = '', ...argv] = context.args;
  const part = parsePart(where, textOption(context, 'namespace'));
  if (part.kind === 'controller' || part.kind === 'lab') {
    throw new MeshError('USAGE', { reason: `the ${part.kind} has no namespace of its own; use node/NAME or NS/POD` });
  }
  return enter(context, part, argv.length > 0 ? argv : [context.io.env.SHELL || 'sh']);
};

async function enter(
  context: CommandContext,
  part: Exclude<PartName, { kind: 'controller' | 'lab' }>,
  argv: readonly string[],
): Promise<number> {
  const lab = labOf(context);
  const target =
    part.kind === 'node'
      ? await lab.target('node', '', part.name)
      : await lab.target('pod', part.namespace, part.name, textOption(context, 'container'));
  return runEntered(target, argv);
}
