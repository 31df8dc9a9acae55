// `ambientctl log`: the levels of the programs' logs at run time. What they have said is read by other commands, which
// it names.
import { MeshError, messageOf } from '../base/errors.ts';
import { logLevels } from '../config/log-levels.ts';
import type { LogLevelView } from '../telemetry/log-level.ts';
import {
  type Command,
  type CommandContext,
  type CommandResult,
  durationOption,
  flagOption,
  textOption,
} from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { MeshPart, OperableMesh } from './mesh.ts';
import { ageText, type Column, table } from './table.ts';
import { adminView, meshOf, parsePart } from './which-mesh.ts';

/** One program whose level is shown. */
export interface LogRow {
  /** `controller`, `node/NAME`, `waypoint/NS/NAME`. */
  readonly part: string;
  /** Of a waypoint: one of its pods; null otherwise. */
  readonly pod: string | null;
  readonly level: string | null;
  readonly configured: string | null;
  readonly until: string | null;
  /** Why it cannot be told; null when it can. */
  readonly error: string | null;
}

interface Program {
  readonly part: string;
  readonly pod: string | null;
  readonly program: MeshPart;
  /** Who answers for it. */
  readonly asked: MeshPart;
  /** Before the path of its admin port. */
  readonly prefix: string;
}

/** Shows levels; sets them with `--level`, sets them back with `--reset`. Exit 1 when a program did not answer. */
export const log: Command = async (context) => {
  const query = queryOf(context);
  const mesh = await meshOf(context);
  const programs = await programsOf(context, mesh);
  const rows = await Promise.all(programs.map((program) => rowOf(mesh, program, query)));
  const part = context.args.length === 1 ? (programs[0]?.program ?? null) : null;
  return logResult(rows, part === null ? null : mesh.logsCommand(part), Date.now());
};

/** What is told to the admin port; null when levels are only shown. */
function queryOf(context: CommandContext): string | null {
  const level = textOption(context, 'level');
  const isReset = flagOption(context, 'reset');
  const duration = textOption(context, 'duration');
  if (isReset) {
    if (level !== undefined) throw new MeshError('USAGE', { reason: '--level and --reset exclude each other' });
    return '?reset=1';
  }
  if (level === undefined) {
    if (duration !== undefined) throw new MeshError('USAGE', { reason: 'say which level, too: --level debug' });
    return null;
  }
  if (!(logLevels as readonly string[]).includes(level)) {
    throw new MeshError('USAGE', { reason: `--level is one of ${logLevels.join(', ')}, not '${level}'` });
  }
  const forMs = duration === undefined ? '' : `&forMs=${durationOption(context, 'duration', 0)}`;
  return `?level=${level}${forMs}`;
}

const controllerPart: MeshPart = { kind: 'controller', name: '' };
const controller: Program = {
  part: 'controller',
  pod: null,
  program: controllerPart,
  asked: controllerPart,
  prefix: '',
};

async function programsOf(context: CommandContext, mesh: OperableMesh): Promise<readonly Program[]> {
  const [text] = context.args;
  const isAll = flagOption(context, 'all');
  if (isAll && text !== undefined) throw new MeshError('USAGE', { reason: 'name a part or say --all, not both' });
  const changes = flagOption(context, 'reset') || textOption(context, 'level') !== undefined;
  if (text === undefined) {
    // To change everything has to be said.
    if (changes && !isAll) {
      const reason = 'say whose level: node/NAME, waypoint/NS/NAME, controller, or --all';
      throw new MeshError('USAGE', { reason });
    }
    const nodes = (await mesh.nodes()).map(nodeProgram);
    return [controller, ...nodes, ...(await waypointPrograms(mesh))];
  }
  const part = parsePart(text, textOption(context, 'namespace'));
  if (part.kind === 'controller') return [controller];
  if (part.kind === 'node') {
    const known = await mesh.nodes();
    if (known.includes(part.name)) return [nodeProgram(part.name)];
    throw new MeshError('NOT_FOUND', { what: `node ${part.name}`, hint: `there are ${known.join(', ')}` });
  }
  if (part.kind !== 'waypoint') {
    throw new MeshError('USAGE', { reason: `${text} is none of ours: node/NAME, waypoint/NS/NAME or controller` });
  }
  const name = `${part.namespace}/${part.name}`;
  const pods = (await waypointPrograms(mesh)).filter((one) => one.part === `waypoint/${name}`);
  if (pods.length > 0) return pods;
  throw new MeshError('NOT_FOUND', { what: `a pod of waypoint ${name}`, hint: 'see: ambientctl waypoint status -A' });
}

function nodeProgram(name: string): Program {
  const program: MeshPart = { kind: 'node', name };
  return { part: `node/${name}`, pod: null, program, asked: program, prefix: '' };
}

async function waypointPrograms(mesh: OperableMesh): Promise<Program[]> {
  const { proxies } = (await adminView(mesh, 'controller', '/proxies', 'proxies')) as {
    readonly proxies: readonly { readonly kind: string; readonly name: string; readonly pod: string }[];
  };
  return proxies.flatMap(({ kind, name, pod }) => {
    if (kind !== 'waypoint') return [];
    const program: MeshPart = { kind: 'waypoint', name };
    return [{ part: `waypoint/${name}`, pod, program, asked: controllerPart, prefix: `/proxies/pod/${pod}` }];
  });
}

async function rowOf(mesh: OperableMesh, program: Program, query: string | null): Promise<LogRow> {
  const { part, pod, asked, prefix } = program;
  try {
    const path = `${prefix}/logging`;
    const answer = query === null ? await mesh.admin(asked, path) : await mesh.tell(asked, `${path}${query}`);
    const { level = null, configured = null, until = null } = (answer ?? {}) as Partial<LogLevelView>;
    return { part, pod, level, configured, until, error: level === null ? 'it is of an older version' : null };
  } catch (error) {
    return { part, pod, level: null, configured: null, until: null, error: messageOf(error) };
  }
}

/** The result for levels that are at hand; `logsCommand` of the only part, null for several. */
export function logResult(rows: readonly LogRow[], logsCommand: string | null, nowMs: number): CommandResult {
  const failed = rows.filter(({ error }) => error !== null);
  return {
    data: { parts: rows },
    text: (view) => table([...columnsAt(nowMs), ...(failed.length > 0 ? [errorColumn] : [])], rows, view),
    talk: () => (logsCommand === null ? '' : `next: ${logsCommand}   # what it says\n`),
    exitCode: failed.length > 0 ? exitCodes.failureFound : exitCodes.fine,
  };
}

function columnsAt(nowMs: number): readonly Column<LogRow>[] {
  return [
    { header: 'PART', value: ({ part }) => part },
    { header: 'POD', wide: true, value: ({ pod }) => pod },
    {
      header: 'LEVEL',
      value: ({ level }) => level,
      tone: ({ level, configured }) => (level === configured ? null : 'warn'),
    },
    { header: 'CONFIGURED', value: ({ configured }) => configured },
    {
      header: 'RESETS_IN',
      right: true,
      value: ({ until }) => (until === null ? null : ageText(new Date(nowMs).toISOString(), Date.parse(until))),
    },
  ];
}

const errorColumn: Column<LogRow> = { header: 'ERROR', value: ({ error }) => error, tone: () => 'bad' };
