// The `status` that the lab shows: since when conditions are as they are, and where a Gateway is reached.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition, ObjectStatus } from '../model/conditions.ts';
import { StatusKeeper } from './status-keeper.ts';

const accepted = (isTrue: boolean, observedGeneration: number): Condition => {
  const [status, reason] = isTrue ? (['True', 'Accepted'] as const) : (['False', 'TargetNotFound'] as const);
  return { type: 'Accepted', status, reason, message: '', observedGeneration };
};
const object = (condition: Condition): ObjectStatus => {
  return { kind: 'TrafficPolicy', namespace: 'shop', name: 'web', conditions: [condition], parents: [] };
};

test('the time of a condition changes with its status alone, its generation with every version', () => {
  const keeper = new StatusKeeper();
  const shown = (condition: Condition, time: string): unknown[] => {
    keeper.update([object(condition)], time);
    const [one] = keeper.statusOf('TrafficPolicy', 'shop', 'web')?.conditions ?? [];
    return [one?.status, one?.observedGeneration, one?.lastTransitionTime];
  };
  assert.deepEqual(shown(accepted(true, 1), 'a'), ['True', 1, 'a']);
  assert.deepEqual(shown(accepted(true, 2), 'b'), ['True', 2, 'a']);
  assert.deepEqual(shown(accepted(false, 3), 'c'), ['False', 3, 'c']);
  keeper.update([], 'd');
  assert.equal(keeper.statusOf('TrafficPolicy', 'shop', 'web'), null);
});

test('a Gateway has addresses, another object no such field', () => {
  const keeper = new StatusKeeper();
  const addresses = [{ type: 'IPAddress', value: '10.96.0.7' }] as const;
  const gateway: ObjectStatus = { ...object(accepted(true, 1)), kind: 'Gateway', addresses };
  keeper.update([gateway, { ...object(accepted(true, 1)), addresses: [] }], 'a');
  assert.deepEqual(keeper.statusOf('Gateway', 'shop', 'web')?.addresses, addresses);
  assert.ok(!('addresses' in keeper.statusOf('TrafficPolicy', 'shop', 'web')!));
});
