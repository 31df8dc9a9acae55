// When conditions of an object turned bad or good again, as they stand in its status and as they are written now: what
// a person is told by an Event. Of what turned at once the first is told, since the rest follows from it.
import { type Condition, controllerName, type ObjectStatus } from '../model/conditions.ts';
import type { ClusterEvent } from './event-writer.ts';
import { isMapping } from './object-reader.ts';

type Turn = Pick<ClusterEvent, 'type' | 'reason' | 'note'>;
type Fields = Readonly<Record<string, unknown>>;

/** Conditions that say what is wrong when they hold; all others when they do not. */
const badWhenTrue: readonly string[] = ['PartiallyInvalid', 'Conflicted'];

/** What is to be told of an object whose status `there` becomes `wanted`: of all its parents together. */
export function turnsOf(wanted: Pick<ObjectStatus, 'conditions' | 'parents'>, there: Fields): readonly Turn[] {
  const parentsThere = listOf(there['parents']).filter((one) => one['controllerName'] === controllerName);
  const before = [
    ...listOf(there['conditions']),
    ...parentsThere.flatMap(({ conditions }) => listOf(conditions)),
  ] as unknown as readonly Condition[];
  const now = [...wanted.conditions, ...wanted.parents.flatMap(({ conditions }) => conditions)];
  const worse = now.find(
    (one) => isBad(one) && !before.some((old) => old.type === one.type && old.reason === one.reason && isBad(old)),
  );
  const better = now.find(
    (one) =>
      !now.some((other) => other.type === one.type && isBad(other)) &&
      before.some((old) => old.type === one.type && isBad(old)),
  );
  const turns: Turn[] = [];
  if (worse !== undefined) {
    const { type, status, reason, message } = worse;
    turns.push({ type: 'Warning', reason, note: `${type} is ${status}: ${message}` });
  }
  if (better !== undefined) {
    const { type, status, message } = better;
    turns.push({ type: 'Normal', reason: type, note: `${type} is ${status} again: ${message}` });
  }
  return turns;
}

function isBad({ type, status }: Pick<Condition, 'type' | 'status'>): boolean {
  return status === (badWhenTrue.includes(type) ? 'True' : 'False');
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isMapping) : [];
}
