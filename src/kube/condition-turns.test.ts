import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Condition, controllerName } from '../model/conditions.ts';
import { turnsOf } from './condition-turns.ts';

const condition = (
  type: Condition['type'],
  status: Condition['status'],
  reason: string,
  message = 'why',
): Condition => ({
  type,
  status,
  reason,
  message,
  observedGeneration: 1,
});
const good = condition('Accepted', 'True', 'Accepted', 'the routes are valid');
const bad = condition('Accepted', 'False', 'NoMatchingParent', 'Service shop/pay is not there');
const waiting = { type: 'Accepted', status: 'Unknown', reason: 'Pending' };

const rows: readonly (readonly [what: string, there: unknown, wanted: Condition, told: string])[] = [
  ['good from the beginning', undefined, good, ''],
  [
    'bad from the beginning',
    undefined,
    bad,
    'Warning NoMatchingParent Accepted is False: Service shop/pay is not there',
  ],
  [
    'bad after nobody had spoken',
    waiting,
    bad,
    'Warning NoMatchingParent Accepted is False: Service shop/pay is not there',
  ],
  ['as bad as before', bad, bad, ''],
  ['bad for another reason', { ...bad, reason: 'Conflicted' }, bad, 'Warning NoMatchingParent'],
  ['good again', bad, good, 'Normal Accepted Accepted is True again: the routes are valid'],
  [
    'bad when it holds',
    undefined,
    condition('PartiallyInvalid', 'True', 'UnsupportedValue'),
    'Warning UnsupportedValue',
  ],
];

for (const [what, there, wanted, told] of rows) {
  test(`a condition that is ${what}`, () => {
    const before = there === undefined ? [] : [there];
    const parentRef = { group: '', kind: 'Service', namespace: 'shop', name: 'pay' };
    const parent = (conditions: unknown): unknown => ({ parentRef, controllerName, conditions });
    for (const turns of [
      turnsOf({ conditions: [wanted], parents: [] }, { conditions: before }),
      turnsOf({ conditions: [], parents: [parent([wanted]) as never] }, { parents: [parent(before)] }),
    ]) {
      const [first, ...more] = turns.map(({ type, reason, note }) => `${type} ${reason} ${note}`);
      assert.deepEqual(more, []);
      assert.equal((first ?? '').slice(0, told === '' ? undefined : told.length), told);
    }
  });
}

test('what follows is not told, and other controllers do not count', () => {
  const parentRef = { group: '', kind: 'Service', namespace: 'shop', name: 'pay' };
  const conditions = [
    good,
    condition('WaypointAccepted', 'False', 'AncestorNotBound'),
    condition('Programmed', 'False', 'NoResources'),
  ];
  const parents = [{ parentRef, controllerName, conditions }];
  const there = { parents: [{ parentRef, controllerName: 'example.com/other', conditions }] };
  const turns = turnsOf({ conditions: [], parents }, there);
  assert.deepEqual(
    turns.map(({ reason }) => reason),
    ['AncestorNotBound'],
  );
});

test('a route whose bad parent went is good again', () => {
  const parent = (name: string, one: Condition) => ({
    parentRef: { group: '', kind: 'Service', namespace: 'shop', name },
    controllerName,
    conditions: [one],
  });
  const turns = turnsOf({ conditions: [], parents: [parent('b', good)] }, { parents: [parent('a', bad)] });
  assert.deepEqual(
    turns.map(({ type }) => type),
    ['Normal'],
  );
  const both = turnsOf(
    { conditions: [], parents: [parent('b', good), parent('a', bad)] },
    { parents: [parent('a', bad)] },
  );
  assert.deepEqual(both, []);
});
