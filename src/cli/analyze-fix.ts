// `ambientctl analyze --fix PATH…`: writes what has one meaning into the files, or shows it with `--dry-run`.
import { randomUUID } from 'node:crypto';
import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type FixedFinding, type FixResult, fixManifests } from '../analyze/fix.ts';
import type { SeenEdge } from '../analyze/seen-edges.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { unifiedDiff } from '../base/unified-diff.ts';
import { formatPlace } from '../config/yaml.ts';
import { loadTexts } from '../kube/load.ts';
import type { ManifestText } from '../kube/manifests.ts';
import type { ResourceIssue } from '../model/types.ts';
import { type AnalyzeMessage, messageFor } from './analyze.ts';
import type { CommandResult } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Paint } from './io.ts';
import { issueText } from './status.ts';

export interface FixRequest {
  readonly paths: readonly string[];
  readonly edges: readonly SeenEdge[];
  readonly isDryRun: boolean;
  /** Findings that are to be mended or said; the others are left alone. */
  readonly isWanted: (issue: ResourceIssue) => boolean;
  /** Findings after which the exit code is 1. */
  readonly isBad: (issue: ResourceIssue) => boolean;
}

/** One line of `fixed` in `-o json`: the finding and what was written. A contract, as `left` with its reason is. */
export type FixedMessage = AnalyzeMessage & { readonly change: string };

/**
 * Mends the files. Exit 1 when something that is bad is left.
 * @throws MeshError USAGE for standard input, INPUT_UNREADABLE for a file that cannot be read or written, or that has
 * changed meanwhile; files before it are written then.
 */
export async function fixFiles(request: FixRequest): Promise<CommandResult> {
  const { paths, edges, isDryRun, isWanted, isBad } = request;
  if (paths.length === 0 || paths.includes('-')) {
    throw new MeshError('USAGE', { reason: '--fix writes files: name them, or their folder' });
  }
  const texts = await loadTexts(paths);
  const result = fixManifests(texts, { edges, isWanted });
  const changed = result.texts.flatMap((text, at) => {
    const before = texts[at];
    return before === undefined || before.text === text.text ? [] : [{ before, after: text }];
  });
  const diff = changed.map(({ before, after }) => unifiedDiff(after.file, before.text, after.text)).join('');
  if (!isDryRun) for (const { before, after } of changed) await write(before, after);
  const fixed = result.fixed.map((one): FixedMessage => ({ ...messageFor(one.finding), change: changeText(one) }));
  const left = result.left.map(({ finding, reason }) => ({ ...messageFor(finding), reason }));
  return {
    data: { fixed, left, ...(isDryRun ? { diff } : {}) },
    text: ({ paint }) => (isDryRun ? diff : writtenText(result, paint)),
    talk: (paint) => `${isDryRun ? leftText(result, paint) : ''}${summary(result, changed.length, isDryRun)}`,
    exitCode: result.left.some(({ finding }) => isBad(finding)) ? exitCodes.failureFound : exitCodes.fine,
  };
}

function writtenText(result: FixResult, paint: Paint): string {
  const lines = result.fixed.map((one) => {
    return `${paint('fixed', 'good')} ${formatPlace(one.change.place)}: ${changeText(one)} [${one.finding.code}]\n`;
  });
  return `${lines.join('')}${leftText(result, paint)}`;
}

function leftText({ left }: FixResult, paint: Paint): string {
  return left
    .map(({ finding, reason }) => `${issueText(finding, paint)}  ${paint(`left: ${reason}`, 'dim')}\n`)
    .join('');
}

function changeText({ change }: FixedFinding): string {
  if (change.kind === 'entry') return `${change.key}: ${change.value} added`;
  return `${change.kind === 'value' ? change.from : String(change.path.at(-1))} is now ${change.to}`;
}

function summary({ fixed, left, objects }: FixResult, files: number, isDryRun: boolean): string {
  const [all, some] = [`${objects} object${objects === 1 ? '' : 's'}`, `${files} file${files === 1 ? '' : 's'}`];
  const done = isDryRun ? `${fixed.length} would be fixed in ${some}` : `${fixed.length} fixed in ${some}`;
  return `${done}, ${left.length} left, of ${all}${isDryRun && files > 0 ? '; without --dry-run it is written' : ''}\n`;
}

/** Whole or not at all: a file beside it takes its place. A link stays one, and its file is written. */
async function write(before: ManifestText, after: ManifestText): Promise<void> {
  try {
    const file = await realpath(after.file);
    if ((await readFile(file, 'utf8')) !== before.text) {
      throw new MeshError('INPUT_UNREADABLE', { place: after.file, reason: 'it was changed meanwhile; mend again' });
    }
    const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomUUID()}`);
    try {
      await writeFile(beside, after.text, { mode: (await stat(file)).mode, flag: 'wx' });
      await rename(beside, file);
    } finally {
      await rm(beside, { force: true });
    }
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError('INPUT_UNREADABLE', { place: after.file, reason: messageOf(error) }, { cause: error });
  }
}
