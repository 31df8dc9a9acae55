// Mends manifests: makes the changes that findings come with, and keeps only those after which the finding is gone and
// no other one has come.
import { issueOf } from '../kube/findings.ts';
import { type ManifestText, readLeniently } from '../kube/manifests.ts';
import type { FindingCode } from '../model/finding-codes.ts';
import type { ResourceIssue } from '../model/types.ts';
import { analyze, type Finding } from './analyze.ts';
import type { PlacedChange } from './changes.ts';
import { editYaml } from './edit-yaml.ts';
import type { SeenEdge } from './seen-edges.ts';

export interface FixOptions {
  readonly edges?: readonly SeenEdge[];
  /** False for findings that stay as they are, such as suppressed ones. */
  readonly isWanted?: (finding: ResourceIssue) => boolean;
}

export interface FixedFinding {
  readonly finding: Finding;
  readonly change: PlacedChange;
}

export interface FixResult {
  /** All texts, mended. */
  readonly texts: readonly ManifestText[];
  readonly fixed: readonly FixedFinding[];
  readonly left: readonly { readonly finding: Finding; readonly reason: string }[];
  /** Objects that were read, or could not be. */
  readonly objects: number;
}

/** A change may lead to the next one; more often than this it leads nowhere. */
const roundsMax = 4;
/** So many changes are tried one by one when all of them together are no good. */
const singlesMax = 40;

/** Codes about who is let in, and whether anybody is asked: what is meant there is not for a tool to guess. */
const aboutAccess = /^AMB0(?:2|3)|^AMB10(?:02|10|11|12|24|30|32|34)$/;

/** Mends what has one meaning. Pure: nothing is written anywhere. Mending what it returns changes nothing. */
export function fixManifests(texts: readonly ManifestText[], options: FixOptions = {}): FixResult {
  const isWanted = options.isWanted ?? (() => true);
  const fixed: FixedFinding[] = [];
  const reasons = new Map<string, string>();
  let present = look(texts, options);
  for (let round = 0; round < roundsMax; round++) {
    const candidates = present.findings.flatMap((finding): FixedFinding[] => {
      const { change } = finding;
      return change === null || !isWanted(finding) || reasons.has(keyOf(finding)) ? [] : [{ finding, change }];
    });
    if (candidates.length === 0) break;
    const made = tryAll(present, candidates, reasons, options);
    fixed.push(...made.fixed);
    present = made.state;
  }
  const left = present.findings.filter(isWanted).map((finding) => {
    return { finding, reason: reasons.get(keyOf(finding)) ?? reasonFor(finding) };
  });
  return { texts: present.texts, fixed, left, objects: present.objects };
}

interface State {
  readonly texts: readonly ManifestText[];
  readonly findings: readonly Finding[];
  readonly objects: number;
}

function look(texts: readonly ManifestText[], { edges = [] }: FixOptions): State {
  const { resources, unused, errors } = readLeniently(texts);
  const findings = analyze({ resources, unused, unreadable: errors.map(issueOf), edges });
  return { texts, findings, objects: resources.length + unused.length + errors.length };
}

/** All together, and where that does harm one after the other. */
function tryAll(
  state: State,
  candidates: readonly FixedFinding[],
  reasons: Map<string, string>,
  options: FixOptions,
): { readonly state: State; readonly fixed: readonly FixedFinding[] } {
  const together = attempt(state, candidates, options);
  for (const { finding } of together.refused) reasons.set(keyOf(finding), together.reasonOf(finding));
  if (together.harm === null) return { state: together.state, fixed: together.made };
  let present = state;
  const fixed: FixedFinding[] = [];
  for (const [at, candidate] of candidates.entries()) {
    const key = keyOf(candidate.finding);
    if (reasons.has(key)) continue;
    // An earlier change may have moved it: it has its place from the texts as they are now.
    const now = present.findings.find((finding) => keyOf(finding) === key);
    if (now?.change == null) continue;
    const alone = at < singlesMax ? attempt(present, [{ finding: now, change: now.change }], options) : null;
    const harm = alone === null ? 'there is too much to mend at once; mend again' : alone.harm;
    if (harm !== null || alone === null) reasons.set(key, harm ?? '');
    else {
      present = alone.state;
      fixed.push(...alone.made);
    }
  }
  return { state: present, fixed };
}

function attempt(state: State, candidates: readonly FixedFinding[], options: FixOptions) {
  const refusals = new Map<PlacedChange, string>();
  const texts = state.texts.map(({ text, file }) => {
    const own = candidates.filter(({ change }) => change.place.file === file);
    if (own.length === 0) return { text, file };
    const edited = editYaml(
      text,
      own.map(({ change }) => change),
    );
    for (const [change, reason] of edited.refused) refusals.set(change, reason);
    return { text: edited.text, file };
  });
  const made = candidates.filter(({ change }) => !refusals.has(change));
  const refused = candidates.filter(({ change }) => refusals.has(change));
  const reasonOf = ({ change }: Finding): string => (change === null ? '' : (refusals.get(change) ?? ''));
  if (made.length === 0) return { state, made, refused, reasonOf, harm: null };
  const after = look(texts, options);
  return { state: after, made, refused, reasonOf, harm: harmOf(state, after, made) };
}

/** What speaks against the changes: a finding that stays, or one that was not there before. */
function harmOf(before: State, after: State, made: readonly FixedFinding[]): string | null {
  const known = new Set(before.findings.map(keyOf));
  const now = new Set(after.findings.map(keyOf));
  // What has a change of its own is mended in the next round.
  const fresh = after.findings.find((finding) => finding.change === null && !known.has(keyOf(finding)));
  if (fresh !== undefined) return `mended, it would bring up ${fresh.code}: ${fresh.message}`;
  return made.some(({ finding }) => now.has(keyOf(finding))) ? 'it would stay as it is' : null;
}

/** A finding wherever its object stands in the file. */
function keyOf({ code, kind, namespace, name, field, message }: ResourceIssue): string {
  return `${code} ${kind}/${namespace}/${name} ${field} ${message}`;
}

function reasonFor({ code, change }: Finding): string {
  const unread: FindingCode = 'AMB0001';
  if (code === unread) return 'what cannot be read is not touched';
  if (aboutAccess.test(code)) return 'who is let in is for people to decide';
  return change === null ? 'it can be mended in more than one way' : 'there is more to mend first; mend again';
}
