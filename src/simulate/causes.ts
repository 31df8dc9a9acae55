// Which object of a change does it: the policy or route that decides, where it is among them, else the object after
// whose coming the outcome is the other one.
import { type Resource, resourceKey } from '../model/resources.ts';
import type { SourcePlace } from '../model/types.ts';
import { type Difference, differenceOf, effectsOf } from './differences.ts';
import type { ObjectName, SimulatedMesh } from './simulated-mesh.ts';

/** Part of a contract: `by` of `simulate -o json`. Line and column are null for what has no place in a file. */
export interface Cause {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Counts from 0; null for the object as a whole. */
  readonly rule: number | null;
  readonly deleted: boolean;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

/** So many objects are tried one by one, for so many rows. */
const stepsMax = 100;
const rowsMax = 200;
/** Where the rules of a kind are. */
const ruleFields: Readonly<Record<string, string>> = {
  AuthorizationPolicy: 'rules',
  HTTPRoute: 'rules',
  GRPCRoute: 'rules',
  VirtualService: 'http',
};

/** A change: objects to apply, and objects to take away. */
export interface Change {
  readonly applied: readonly Resource[];
  readonly deleted: readonly ObjectName[];
}

/** The object of the change that the answer itself names; null when it names none of them. */
export function namedCause({ effects, before, after }: Difference, change: Change): Cause | null {
  // Of what depends, the gravest that it may come to.
  const [effect = ''] = effects[0] === 'depends' ? effectsOf(before, after) : effects;
  const policies = effect === 'allowed' ? [before.decidedBy, after.decidedBy] : [after.decidedBy];
  const isOfRoute = ['rerouted', 'timeout', 'retries', 'unreachable'].includes(effect);
  const named = isOfRoute ? [after.route, before.route].map(routeReference) : policies;
  for (const one of named) {
    const cause = one === null ? null : causeAmong(change, one, one.rule);
    if (cause !== null) return cause;
  }
  return null;
}

/**
 * Finds causes by trying: the change object by object. Returns one for each difference; null where no single object
 * does it, or there are too many.
 */
export function triedCauses(base: SimulatedMesh, change: Change, differences: readonly Difference[]): (Cause | null)[] {
  const steps = [...change.deleted, ...change.applied];
  const causes: (Cause | null)[] = differences.map(() => null);
  const [only] = steps;
  if (only !== undefined && steps.length === 1) return causes.map(() => causeAmong(change, only, null));
  if (steps.length > stepsMax || differences.length > rowsMax || differences.length === 0) return causes;
  const mesh = base.copy();
  for (const step of steps) {
    const isApplied = 'places' in step;
    mesh.change(isApplied ? [step as Resource] : [], isApplied ? [] : [step]);
    for (const [at, difference] of differences.entries()) {
      if (causes[at] != null) continue;
      const now = differenceOf(base, mesh, difference.call);
      if (now === null || now === 'unknown' || now.effects[0] !== difference.effects[0]) continue;
      causes[at] = causeAmong(change, step, null);
    }
  }
  return causes;
}

function causeAmong({ applied, deleted }: Change, object: ObjectName, rule: number | null): Cause | null {
  const { kind, namespace, name } = object;
  const key = resourceKey(object);
  const resource = applied.find((one) => resourceKey(one) === key);
  if (resource === undefined) {
    const isDeleted = deleted.some((one) => resourceKey(one) === key);
    return isDeleted
      ? { kind, namespace, name, rule: null, deleted: true, file: null, line: null, column: null }
      : null;
  }
  return { kind, namespace, name, rule, deleted: false, ...placeOf(resource, rule) };
}

function placeOf(resource: Resource, rule: number | null): Pick<Cause, 'file' | 'line' | 'column'> {
  const field = ruleFields[resource.kind];
  const place: SourcePlace | null =
    rule === null || field === undefined ? resource.places.object : resource.places.at(['spec', field, rule]);
  if (place === null || place.line === 0 || place.file === '')
    return { file: place?.file || null, line: null, column: null };
  return { file: place.file, line: place.line, column: place.column };
}

function routeReference(route: string | null): (ObjectName & { readonly rule: number }) | null {
  const parts = /^([^/]+)\/([^/]+)\/([^#]+)#(\d+)$/.exec(route ?? '');
  if (parts === null) return null;
  const [, kind = '', namespace = '', name = '', rule = ''] = parts;
  return { kind, namespace, name, rule: Number(rule) };
}
