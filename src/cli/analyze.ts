// `ambientctl analyze PATH…`: the linter for the mesh's manifests, on files or on a mesh that runs.
import { analyze as analyzeObjects, equivalentOf } from '../analyze/analyze.ts';
import { MeshError } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { issueOf } from '../kube/findings.ts';
import { loadTexts } from '../kube/load.ts';
import { type ManifestText, readLeniently } from '../kube/manifests.ts';
import { findingCodes, type Severity } from '../model/finding-codes.ts';
import type { Resource } from '../model/resources.ts';
import type { ResourceIssue, SourcePlace } from '../model/types.ts';
import {
  type Command,
  type CommandContext,
  type CommandResult,
  flagOption,
  listOption,
  textOption,
} from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Paint } from './io.ts';
import type { Mesh } from './mesh.ts';
import { seenEdges } from './seen-edges.ts';
import { selectorOption } from './selection.ts';
import { issueText } from './status.ts';
import { type Column, table } from './table.ts';
import { meshOf } from './which-mesh.ts';

/** One line of `-o json`: a contract. `doc` is a path in the project; `equivalent` is istioctl's code. */
export interface AnalyzeMessage {
  readonly code: string;
  readonly severity: Severity;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly message: string;
  readonly fix: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly doc: string;
  readonly equivalent: string | null;
}

const severities = ['error', 'warning', 'info'] as const;
/** What a mesh that runs has and the analyzers look at. */
export const liveKinds: readonly string[] = [
  'Namespace,Node,ServiceAccount,Pod,Service,EndpointSlice,NetworkPolicy',
  'Gateway,HTTPRoute,GRPCRoute,ReferenceGrant,VirtualService,DestinationRule',
  'PeerAuthentication,AuthorizationPolicy,RequestAuthentication',
  'TrafficPolicy,RateLimitPolicy,CertificateRevocation',
].flatMap((line) => line.split(','));

/** Exit 1 when something as bad as `--failure-threshold` was found. */
export const analyze: Command = async (context) => {
  if (flagOption(context, 'listCodes')) return codesResult();
  if (flagOption(context, 'fix')) return fix(context);
  if (flagOption(context, 'dryRun')) throw new MeshError('USAGE', { reason: '--dry-run is about --fix' });
  const mesh = context.args.length > 0 ? null : await meshOf(context);
  const texts = mesh === null ? await loadTexts(context.args) : await textsOf(mesh);
  const { edges, silent } = await seenEdges(context, mesh);
  const { resources, unused, errors } = readLeniently(texts);
  const all = analyzeObjects({ resources, unused, unreadable: errors.map(issueOf), edges });
  const found = mesh === null ? all : all.map((issue) => ({ ...issue, place: livePlace(mesh) }));
  const count = resources.length + unused.length + errors.length;
  const wanted = found.filter(wantedIn(context)).filter(selectedIn(context, resources));
  const result = analyzeResult(wanted, count, thresholdOf(context, 'failureThreshold', 'error'));
  const mendable = mesh === null ? wanted.filter(({ change }) => change !== null).length : 0;
  const hint = mendable === 0 ? '' : `--fix would mend ${mendable}; --fix --dry-run shows how\n`;
  return { ...result, talk: (paint) => `${silentText(silent, paint)}${result.talk?.(paint) ?? ''}${hint}` };
};

/** Findings about objects that `-l` means; what cannot be read has no labels. */
function selectedIn(context: CommandContext, resources: readonly Resource[]): (issue: ResourceIssue) => boolean {
  const selector = selectorOption(context);
  if (selector === null) return () => true;
  const key = ({ kind, namespace, name }: Pick<Resource, 'kind' | 'namespace' | 'name'> | ResourceIssue): string =>
    `${kind}/${namespace}/${name}`;
  const meant = new Set(resources.filter(({ labels }) => selector(labels)).map(key));
  return (issue) => meant.has(key(issue));
}

/** Objects of a mesh stand in no file. */
function livePlace(mesh: Mesh): SourcePlace {
  return { file: mesh.title, line: 0, column: 0 };
}

async function fix(context: CommandContext): Promise<CommandResult> {
  if (textOption(context, 'output') === 'sarif') {
    throw new MeshError('USAGE', { reason: '--fix prints what it does as table, json or yaml' });
  }
  if (selectorOption(context) !== null) throw new MeshError('USAGE', { reason: '--fix takes -n and -S, and no -l' });
  const failure = rankOf(thresholdOf(context, 'failureThreshold', 'error'));
  const { fixFiles } = await import('./analyze-fix.ts');
  return fixFiles({
    paths: context.args,
    edges: (await seenEdges(context, null)).edges,
    isDryRun: flagOption(context, 'dryRun'),
    isWanted: wantedIn(context),
    isBad: ({ severity }) => rankOf(severity) <= failure,
  });
}

function silentText(silent: readonly string[], paint: Paint): string {
  const what = 'does not answer: calls that only it has seen are missing';
  return silent.map((node) => `${paint('warning', 'warn')} the proxy of ${node} ${what}\n`).join('');
}

/** The result for findings that are at hand, of so many objects. */
export function analyzeResult(
  found: readonly ResourceIssue[],
  objects: number,
  failure: Severity = 'error',
): CommandResult {
  const messages = found.map(messageFor);
  const bad = found.some(({ severity }) => rankOf(severity) <= rankOf(failure));
  const count = (severity: Severity, word: string): string =>
    counted(found.filter((one) => one.severity === severity).length, word);
  const counts = [count('error', 'error'), count('warning', 'warning'), count('info', 'remark')].join(', ');
  return {
    data: { messages },
    text: (view) => found.map((issue) => issueText(issue, view.paint)).join(''),
    talk: (paint) => {
      if (found.length === 0) return `${paint('ok', 'good')} nothing to say about ${counted(objects, 'object')}\n`;
      return `${counts} in ${counted(objects, 'object')}; what a code means: ambientctl analyze --list-codes, docs/findings\n`;
    },
    also: { sarif: () => `${JSON.stringify(sarifOf(messages), null, 2)}\n` },
    exitCode: bad ? exitCodes.failureFound : exitCodes.fine,
  };
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** A finding as `-o json` has it. */
export function messageFor({ place, ...issue }: ResourceIssue): AnalyzeMessage {
  const { code, severity, kind, namespace, name, message, fix } = issue;
  const isPlaced = place !== null && place.line > 0;
  const at = { file: place?.file ?? null, line: isPlaced ? place.line : null, column: isPlaced ? place.column : null };
  const more = { doc: `docs/findings/${code}.md`, equivalent: equivalentOf(code) };
  return { code, severity, kind, namespace, name, message, fix, ...at, ...more };
}

async function textsOf(mesh: Mesh): Promise<ManifestText[]> {
  const lists = await Promise.all(liveKinds.map((kind) => mesh.objects(kind)));
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: lists.flat() });
  return [{ text, file: mesh.title }];
}

/** Of `-n`, without what is suppressed (`CODE` or `CODE=KIND NS/NAME`, `*` for any), and as bad as is asked for. */
function wantedIn(context: CommandContext): (issue: ResourceIssue) => boolean {
  const namespace = textOption(context, 'namespace');
  const least = rankOf(thresholdOf(context, 'outputThreshold', 'info'));
  const suppressed = listOption(context, 'suppress').map((text) => {
    const [code = '', object = '*'] = text.split('=');
    if (!Object.hasOwn(findingCodes, code)) {
      throw new MeshError('USAGE', { reason: `--suppress '${text}': there is no code ${code}; see --list-codes` });
    }
    const pattern = object.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return { code, pattern: new RegExp(`^${pattern.join('.*')}$`) };
  });
  return (issue) => {
    const title = `${issue.kind} ${issue.namespace === '' ? '' : `${issue.namespace}/`}${issue.name}`;
    const own = issue.kind === 'Namespace' ? issue.name : issue.namespace;
    const isHere = namespace === undefined || namespace === own;
    const isSuppressed = suppressed.some(({ code, pattern }) => code === issue.code && pattern.test(title));
    return isHere && !isSuppressed && rankOf(issue.severity) <= least;
  };
}

function thresholdOf(context: CommandContext, option: string, fallback: Severity): Severity {
  const text = textOption(context, option) ?? fallback;
  return severities.find((one) => one === text) ?? fallback;
}

function rankOf(severity: Severity): number {
  return severities.indexOf(severity);
}

function codesResult(): CommandResult {
  const rows = Object.entries(findingCodes).map(([code, rule]) => ({ code, equivalent: null, ...rule }));
  const columns: Column<(typeof rows)[number]>[] = [
    { header: 'CODE', value: (row) => row.code },
    { header: 'SEVERITY', value: (row) => row.severity },
    { header: 'ISTIOCTL', value: (row) => row.equivalent },
    { header: 'WHAT SHOULD BE', value: (row) => row.title },
  ];
  return { data: { codes: rows }, text: (view) => table(columns, rows, view) };
}

/** SARIF 2.1.0, which tools for code review read. */
function sarifOf(messages: readonly AnalyzeMessage[]): unknown {
  const levels = { error: 'error', warning: 'warning', info: 'note' } as const;
  const codes = [...new Set(messages.map(({ code }) => code))].sort();
  const rules = codes.map((id) => {
    const { title } = findingCodes[id as keyof typeof findingCodes];
    return { id, shortDescription: { text: title }, helpUri: `docs/findings/${id}.md` };
  });
  const results = messages.map(({ code, severity, message, fix, file, line, column, kind, namespace, name }) => ({
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: levels[severity],
    message: { text: `${kind} ${namespace}/${name}: ${message}${fix === '' ? '' : `; ${fix}`}` },
    locations:
      file === null || line === null
        ? []
        : [
            {
              physicalLocation: {
                artifactLocation: { uri: file },
                region: { startLine: line, startColumn: column ?? 1 },
              },
            },
          ],
  }));
  const driver = { name: 'ambientctl analyze', version, rules };
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver }, results }],
  };
}
