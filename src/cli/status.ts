// `ambientctl status`: which proxies there are, whether they hold what the controller serves, what became of routes and
// policies, and which configuration was refused.
import { MeshError } from '../base/errors.ts';
import { formatPlace } from '../config/yaml.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { ProxyView, StatusView } from '../model/views.ts';
import { type Command, type CommandContext, type CommandResult, flagOption } from './command.ts';
import { conditionsText } from './conditions-table.ts';
import { exitCodes } from './exit-codes.ts';
import type { Paint } from './io.ts';
import { type LostNode, lostLines, lostNodes } from './lost-nodes.ts';
import type { OperableMesh } from './mesh.ts';
import { watch } from './redraw.ts';
import { selectedKeys } from './selection.ts';
import { type StrainView, strainLines, strainOfMesh } from './strain.ts';
import { ageText, type Column, type TableView, table } from './table.ts';
import { adminView, meshOf } from './which-mesh.ts';

const watchEveryMs = 2_000;

/**
 * Asks the controller. Exit 1 when a proxy is not ready or behind, when something was refused, or when a source
 * cannot be read. With `--watch` again and again, until Ctrl-C.
 */
export const status: Command = async (context) => {
  const mesh = await meshOf(context);
  const look = (): Promise<CommandResult> => lookAt(context, mesh);
  if (!flagOption(context, 'watch')) return look();
  await watch(context, watchEveryMs, look);
  return exitCodes.fine;
};

async function lookAt(context: CommandContext, mesh: OperableMesh): Promise<CommandResult> {
  const nodes = await selectedKeys(context, mesh, ['Node']);
  const answer = (await adminView(mesh, 'controller', '/status', 'proxies')) as StatusView;
  const isShown = ({ node }: { readonly node: string }): boolean => nodes?.has(node) ?? true;
  if (nodes !== null && !answer.proxies.some(isShown)) {
    const hint = 'labels are those of nodes; see: kubectl get nodes --show-labels';
    throw new MeshError('NOT_FOUND', { what: 'a proxy on a node with these labels', hint });
  }
  const view = { ...answer, proxies: answer.proxies.filter(isShown) };
  const strain = view.proxies.some(({ kind }) => kind === 'waypoint') ? await strainOfMesh(mesh) : nothing;
  const lost = (await lostNodes(mesh, answer)).filter(isShown);
  return statusResult({ ...view, ...strain, ...(lost.length > 0 && { lost }) }, Date.now());
}

const nothing: StrainView = { ejected: [], refusing: [] };

/** What is printed: with what proxies say themselves. */
type Shown = StatusView & Partial<StrainView> & { readonly lost?: readonly LostNode[] };

/** The result for a view that is at hand; `nowMs` only serves ages. */
export function statusResult(view: Shown, nowMs: number): CommandResult {
  const bad =
    view.proxies.some(
      (proxy) => !proxy.ready || !proxy.inStep || proxy.types.some((type) => type.refused.length > 0),
    ) ||
    view.sources.some((source) => !source.ok) ||
    view.issues.some((issue) => issue.severity === 'error');
  return {
    data: view,
    text: (shown) => statusText(view, shown, nowMs),
    exitCode: bad ? exitCodes.failureFound : exitCodes.fine,
  };
}

function statusText(view: Shown, shown: TableView, nowMs: number): string {
  const proxies: Column<ProxyView>[] = [
    { header: 'KIND', value: (proxy) => proxy.kind },
    { header: 'NAME', value: (proxy) => proxy.name },
    { header: 'NODE', value: (proxy) => proxy.node },
    { header: 'VERSION', value: (proxy) => proxy.version },
    { header: 'READY', value: (proxy) => yesNo(proxy.ready), tone: (proxy) => (proxy.ready ? 'good' : 'bad') },
    {
      header: 'IN_STEP',
      value: (proxy) => stepText(proxy, nowMs),
      tone: (proxy) => (proxy.inStep ? 'good' : 'bad'),
    },
    { header: 'REFUSED', value: (proxy) => proxy.types.reduce((sum, type) => sum + type.refused.length, 0) },
    {
      header: 'APPLIED',
      wide: true,
      value: (proxy) => proxy.types.map((type) => `${shortType(type.type)}@${type.applied}`).join(' '),
    },
  ];
  const sections = [table(proxies, view.proxies, shown, 'no proxy has connected to the controller yet')];
  const refused = view.proxies.flatMap((proxy) =>
    proxy.types.flatMap((type) =>
      type.refused.map((one) => ({ proxy: proxy.name, type: shortType(type.type), ...one })),
    ),
  );
  if (refused.length > 0) {
    sections.push(
      table(
        [
          { header: 'REFUSED_BY', value: (row) => row.proxy },
          { header: 'TYPE', value: (row) => row.type },
          { header: 'RESOURCE', value: (row) => row.resource },
          { header: 'REASON', value: (row) => row.reason, tone: () => 'bad' },
        ],
        refused,
        shown,
      ),
    );
  }
  if (view.lost !== undefined) sections.push(lostLines(view.lost, shown.paint));
  const nodes = nodeLines(view, shown);
  if (nodes !== '') sections.push(nodes);
  const strain = strainLines({ ...nothing, ...view }, shown, nowMs);
  if (strain !== '') sections.push(strain);
  const conditions = conditionsText(view.objects, shown);
  if (conditions !== '') sections.push(conditions);
  const sources = sourceLines(view, shown);
  if (sources !== '') sections.push(sources);
  if (view.issues.length > 0) sections.push(view.issues.map((issue) => issueText(issue, shown.paint)).join(''));
  return sections.join('\n');
}

/** What of nodes stands in the way; what is only good to know stands in the wide table. */
function nodeLines({ proxies }: StatusView, { paint, wide }: TableView): string {
  const tone = { error: 'bad', warning: 'warn', info: 'dim' } as const;
  const lines = proxies.flatMap(({ node, findings = [] }) => {
    const shown = findings.filter(({ severity }) => wide || severity !== 'info');
    return shown.map(({ severity, id, text, fix }) => {
      return `${paint(severity, tone[severity])} node ${node}: ${text}; ${fix} ${paint(`[${id}]`, 'dim')}\n`;
    });
  });
  return lines.join('');
}

function sourceLines(view: StatusView, shown: TableView): string {
  const lines: string[] = [];
  for (const source of view.sources) {
    if (source.error !== null) {
      const words = `${formatPlace(source.error)}: ${source.error.message}; the last good state stays in force`;
      lines.push(`${shown.paint('error', 'bad')} ${words}\n`);
    } else if (shown.wide) lines.push(`source ${source.path} ${source.note ?? 'is read'}\n`);
    const ignored = (source.ignored ?? []).map((one) => `${one.count} ${one.kind}`).join(', ');
    if (ignored !== '') lines.push(`${shown.paint('ignored', 'dim')} in ${source.path}: ${ignored}\n`);
  }
  return lines.join('');
}

/** One finding as one line: severity, what and where, the words, what to write instead, and the code. */
export function issueText(issue: ResourceIssue, paint: Paint): string {
  const tone = { error: 'bad', warning: 'warn', info: 'dim' } as const;
  const { severity, kind, namespace, name, place, message } = issue;
  // What cannot be read has no name yet.
  const object = kind === '' ? '' : `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
  const where = place === null ? '' : formatPlace(place);
  const subject = object === '' || where === '' ? `${object}${where}` : `${object} (${where})`;
  const fix = issue.fix === '' ? '' : `; ${issue.fix}`;
  const about = subject === '' ? '' : `${subject}: `;
  return `${paint(severity, tone[severity])} ${about}${message}${fix} ${paint(`[${issue.code}]`, 'dim')}\n`;
}

/** `istio.workload.Address` of a type URL. */
function shortType(type: string): string {
  return type.slice(type.lastIndexOf('/') + 1);
}

/** A proxy that is not connected is not heard of: what it has applied since then, nobody knows. */
function stepText({ inStep, connected, behindSince }: ProxyView, nowMs: number): string {
  if (connected === false) return `not connected, for ${ageText(behindSince, nowMs)}`;
  return inStep ? 'yes' : `no, for ${ageText(behindSince, nowMs)}`;
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
