// Conditions as `ambientctl status` shows them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition, ObjectStatus } from '../model/conditions.ts';
import { conditionsText } from './conditions-table.ts';

const view = (wide: boolean) => ({ wide, paint: (text: string) => text });

function routes(count: number, isBad: (at: number) => boolean): ObjectStatus[] {
  return Array.from({ length: count }, (_, at) => {
    const status = isBad(at) ? 'False' : 'True';
    const reason = isBad(at) ? 'Conflicted' : 'Accepted';
    const condition: Condition = { type: 'Accepted', status, reason, message: `${at}`, observedGeneration: null };
    return { kind: 'TrafficPolicy', namespace: 'shop', name: `p${at}`, conditions: [condition], parents: [] };
  });
}

test('nothing has conditions', () => assert.equal(conditionsText([], view(false)), ''));

test('few are all listed', () => {
  const lines = conditionsText(
    routes(3, (at) => at === 1),
    view(false),
  )
    .trimEnd()
    .split('\n');
  assert.equal(lines.length, 4);
  assert.match(lines[2]!, /^TrafficPolicy shop\/p1 .* Conflicted .* 1$/);
});

test('of many, those that are well are counted', () => {
  const many = routes(100, (at) => at === 7);
  const lines = conditionsText(many, view(false)).trimEnd().split('\n');
  assert.deepEqual([lines.length, lines[2]], [3, '99 more are accepted and programmed: -o wide lists them']);
  assert.equal(conditionsText(many, view(true)).trimEnd().split('\n').length, 101);
  assert.equal(
    conditionsText(
      routes(100, () => false),
      view(false),
    ),
    '100 more are accepted and programmed: -o wide lists them\n',
  );
});

test('columns are those of conditions that are there', () => {
  const condition: Condition = {
    type: 'ZtunnelAccepted',
    status: 'False',
    reason: 'UnsupportedValue',
    message: 'why',
    observedGeneration: null,
  };
  const kind = 'AuthorizationPolicy';
  const policy: ObjectStatus = { kind, namespace: 'shop', name: 'p', conditions: [condition], parents: [] };
  const [header, row] = conditionsText([policy], view(false))
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  assert.deepEqual(header, ['OBJECT', 'PARENT', 'ZTUNNEL_ACCEPTED', 'MESSAGE']);
  assert.deepEqual(row, ['AuthorizationPolicy shop/p', '-', 'UnsupportedValue', 'why']);
});
