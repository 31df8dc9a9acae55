import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VanishedSeries, vanishedSeriesMs } from './vanished-series.ts';

interface Row {
  readonly name: string;
  readonly count: number;
}

const ends = ({ name }: Row) => [{ workload: name, namespace: 'shop', identity: '' }];
const living = new Set(['web', 'cart']);
const names = {
  canonicalName: (_namespace: string, workload: string) =>
    living.has(workload) ? { service: workload, revision: 'v1' } : null,
};

test('a vanished workload is shown until it has stood still for long, and again when it is back', () => {
  living.add('cart');
  const series = new VanishedSeries<Row>(
    ({ name }) => name,
    ({ count }) => count,
  );
  const shown = (nowMs: number, count: number) =>
    series
      .shown(
        [
          { name: 'web', count: 1 },
          { name: 'cart', count },
          { name: '', count: 1 },
        ],
        ends,
        names,
        nowMs,
      )
      .map(({ name }) => name);
  const all = ['web', 'cart', ''];
  assert.deepEqual(shown(vanishedSeriesMs * 5, 1), all);
  living.delete('cart');
  const goneMs = vanishedSeriesMs * 10;
  assert.deepEqual(shown(goneMs, 1), all);
  assert.deepEqual(shown(goneMs + vanishedSeriesMs - 1, 1), all);
  assert.deepEqual(shown(goneMs + vanishedSeriesMs - 1, 2), all, 'a late connection was counted');
  assert.deepEqual(shown(goneMs + vanishedSeriesMs, 2), all);
  assert.deepEqual(shown(goneMs + vanishedSeriesMs * 2, 2), ['web', '']);
  living.add('cart');
  assert.deepEqual(shown(goneMs + vanishedSeriesMs * 2 + 1, 2), all);
});
