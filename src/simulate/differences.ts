// What a change does to a call: its outcome before and after, under every assumption about what was not recorded that
// agrees with what was seen.

import type { Call } from './calls.ts';
import { type FoundCall, findCall, type JudgedOutcome, judge } from './outcome.ts';
import type { SimulatedMesh } from './simulated-mesh.ts';
import type { Assumption, Unknown } from './unknowns.ts';

/** What may become of a call, worst first. */
export const effects = {
  refused: 'would be refused',
  unreachable: 'would find nobody, or an error',
  depends: 'would depend on what was not recorded',
  plaintext: 'would travel in plaintext',
  'waypoint-lost': 'would go past their waypoint',
  rerouted: 'would go elsewhere',
  timeout: 'would have another time-out',
  retries: 'would be tried again more or less often',
  'waypoint-gained': 'would go through a waypoint',
  encrypted: 'would be encrypted',
  allowed: 'would be allowed',
} as const;
export type Effect = keyof typeof effects;
const effectNames = Object.keys(effects) as Effect[];

/** So many unknowns are judged in every combination; with more of them, all at once and one by one. */
const unknownsMax = 6;

export interface Difference {
  readonly call: Call;
  /** The first is the gravest. */
  readonly effects: readonly Effect[];
  /** What it may come to, where it depends: effects, or `none`. */
  readonly possible: readonly (Effect | 'none')[];
  /** What it depends on; [] where it does not. */
  readonly dependsOn: readonly string[];
  readonly before: JudgedOutcome;
  readonly after: JudgedOutcome;
}

/** Null where the change does nothing to the call; 'unknown' where an end of it is not in the mesh. */
export function differenceOf(before: SimulatedMesh, after: SimulatedMesh, call: Call): Difference | null | 'unknown' {
  const first = findCall(before, call);
  if (first === null) return 'unknown';
  const second = findCall(after, call);
  // Its pod is taken away by the change itself: there is nobody left who could call, or be called.
  if (second === null) return null;
  const unknowns = unknownsAmong(first, second);
  const judged = assumptionsOf(unknowns).map((assumption) => pairOf(first, second, assumption));
  const seen = judged.filter(({ before: outcome }) => agrees(outcome, call));
  const pairs = seen.length > 0 ? seen : judged;
  const kinds = new Map<string, Pair>();
  for (const pair of pairs) kinds.set(pair.effects.join(), kinds.get(pair.effects.join()) ?? pair);
  // Not every combination was judged: only where nothing has changed at all is nothing known to change.
  const isOpen = unknowns.length > unknownsMax && !isAlike(first, second);
  const token = isOpen ? null : tokenRuleChanged(first, second);
  if (call.isServiceInferred && second.target.service === null && first.target.service !== null) {
    // Nobody recorded that it was called by the service, which is gone: by its own address the pod is still there.
    const [{ before: was, after: will }] = pairs as [Pair];
    const dependsOn = ['whether its service was called, or its own address'];
    return { call, before: was, after: will, effects: ['depends'], possible: ['unreachable', 'none'], dependsOn };
  }
  if (kinds.size === 1 && !isOpen && (token === null || pairs[0]!.effects[0] === 'refused')) {
    const [only] = [...kinds.values()];
    if (only!.effects.length === 0) return null;
    return { call, ...only!, possible: [], dependsOn: [] };
  }
  const possible = new Set([...kinds.values()].map((pair) => pair.effects[0] ?? 'none'));
  if (token !== null || isOpen) possible.add('refused').add('none');
  const worst = [...kinds.values()].sort((a, b) => rankOf(a.effects[0]) - rankOf(b.effects[0]))[0]!;
  const about = new Set([...(token === null ? [] : [token]), ...unknowns.flatMap((unknown) => unknown.about)]);
  return {
    call,
    before: worst.before,
    after: worst.after,
    effects: ['depends'],
    possible: [...possible].sort((a, b) => rankOf(a) - rankOf(b)),
    dependsOn: [...about].sort(),
  };
}

/** The place of an effect among all, the gravest first; `none` is the last. */
export function rankOf(effect: Effect | 'none' | undefined): number {
  const rank = effectNames.indexOf(effect as Effect);
  return rank < 0 ? effectNames.length : rank;
}

interface Pair {
  readonly before: JudgedOutcome;
  readonly after: JudgedOutcome;
  readonly effects: readonly Effect[];
}

function pairOf(first: FoundCall, second: FoundCall, assumption: Assumption): Pair {
  const before = judge(first, assumption);
  const after = judge(second, assumption);
  return { before, after, effects: effectsOf(before, after) };
}

/** What differs between two outcomes, the gravest first; [] for nothing. */
export function effectsOf(before: JudgedOutcome, after: JudgedOutcome): readonly Effect[] {
  if (after.verdict !== 'allow') {
    if (before.verdict === after.verdict || (before.verdict === 'deny' && after.verdict === 'unreachable')) return [];
    return [after.verdict === 'deny' ? 'refused' : 'unreachable'];
  }
  const found: Effect[] = [];
  if (before.verdict !== 'allow') return ['allowed'];
  if (after.lostPercent > before.lostPercent) found.push('unreachable');
  const wasPlain = before.transport === 'plaintext';
  const isPlain = after.transport === 'plaintext';
  if (!wasPlain && isPlain) found.push('plaintext');
  if (before.waypoint !== null && after.waypoint === null) found.push('waypoint-lost');
  if (isElsewhere(before, after)) found.push('rerouted');
  if (before.timeoutMs !== after.timeoutMs) found.push('timeout');
  // Who comes to a waypoint, or loses it, has other ones anyway.
  const isAlikeGuarded = before.waypoint !== null && after.waypoint !== null;
  if (isAlikeGuarded && before.retries !== after.retries) found.push('retries');
  if (after.waypoint !== null && before.waypoint !== after.waypoint) found.push('waypoint-gained');
  if (wasPlain && !isPlain) found.push('encrypted');
  return found;
}

function isElsewhere(before: JudgedOutcome, after: JudgedOutcome): boolean {
  const placeOf = ({ backends, endpoints, status }: JudgedOutcome): string =>
    JSON.stringify([backends, endpoints, status]);
  return placeOf(before) !== placeOf(after);
}

/** Whether it could have been seen as it was, by what is assumed. */
function agrees(before: JudgedOutcome, { observed, request }: Call): boolean {
  if (observed.verdict !== null && (before.verdict === 'deny') !== (observed.verdict === 'deny')) return false;
  if (request === null || observed.route === null || observed.verdict !== 'allow') return true;
  return observed.route.startsWith('Service/') ? before.route === null : before.route === observed.route;
}

function unknownsAmong(first: FoundCall, second: FoundCall): readonly Unknown[] {
  const all = new Map([...first.unknowns, ...second.unknowns].map((unknown) => [unknown.key, unknown]));
  return [...all.values()];
}

function assumptionsOf(unknowns: readonly Unknown[]): readonly Assumption[] {
  const keys = unknowns.map(({ key }) => key);
  if (keys.length <= unknownsMax) {
    return Array.from(
      { length: 2 ** keys.length },
      (_, bits) => new Map(keys.map((key, at) => [key, (bits >> at) % 2 === 1])),
    );
  }
  const all = (value: boolean): Assumption => new Map(keys.map((key) => [key, value]));
  return [all(false), all(true), ...keys.map((key) => new Map([[key, true]]))];
}

function isAlike(first: FoundCall, second: FoundCall): boolean {
  return first.routes === second.routes || JSON.stringify(first.routes) === JSON.stringify(second.routes);
}

/** Another say about tokens: requests that carry one may end otherwise, and records do not tell of any. */
function tokenRuleChanged(first: FoundCall, second: FoundCall): string | null {
  if (second.call.request === null || second.guard === null) return null;
  const [before, after] = [first.routes?.jwtRules ?? [], second.routes?.jwtRules ?? []];
  return after.length === 0 || JSON.stringify(before) === JSON.stringify(after) ? null : 'the token';
}
