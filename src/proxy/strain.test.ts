import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EjectedView, RefusingView } from '../model/views.ts';
import { mergeStrain } from './strain.ts';

const at = (second: number): string => `2026-01-02T03:04:${String(second).padStart(2, '0')}.000Z`;

function ejectedRow(given: Partial<EjectedView>): EjectedView {
  const base = { service: 'shop/cart', namespace: 'shop', workload: 'cart-1', address: '10.0.0.1:80', subset: '' };
  return { ...base, since: at(10), until: at(40), reason: 'first', ...given };
}

test('an endpoint that several threads have ejected is one row: out since the first, until the last', () => {
  const late = ejectedRow({ since: at(20), until: at(50), reason: 'second' });
  const ofSubset = ejectedRow({ subset: 'v1' });
  const { ejected } = mergeStrain([{ ejected: [late] }, { ejected: [ejectedRow({}), ofSubset] }, { ejected: [] }], 3);
  assert.deepEqual(ejected, [
    { ...ejectedRow({}), until: at(50), threads: { ejecting: 2, of: 3 } },
    { ...ofSubset, threads: { ejecting: 1, of: 3 } },
  ]);
});

test('limits of several threads add up', () => {
  const row: RefusingView = {
    service: 'shop/cart',
    port: 80,
    subset: '',
    limit: 'retryBudget',
    value: 0.2,
    since: at(10),
    lastAt: at(12),
    refused: 5,
    reason: 'because',
  };
  const later = { ...row, since: at(11), lastAt: at(13), refused: 2 };
  const { refusing } = mergeStrain(
    [
      { ejected: [], refusing: [later] },
      { ejected: [], refusing: [row] },
    ],
    2,
  );
  assert.deepEqual(refusing, [{ ...row, lastAt: at(13), refused: 7 }]);
});
