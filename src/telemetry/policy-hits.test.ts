import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PolicyHits, policyHitLabels, policyHitsPrefix } from './policy-hits.ts';

test('hits are counted by rule, under names that a scrape takes apart', () => {
  const hits = new PolicyHits();
  hits.count(['audit shop/look#0', 'dry-run deny shop/p#1']);
  hits.count(['dry-run deny shop/p#1']);
  const named = Object.entries(hits.counters()).map(([name, count]) => [
    policyHitLabels(name.slice(policyHitsPrefix.length)),
    count,
  ]);
  assert.deepEqual(named, [
    [{ hit: 'audit', rule: 'shop/look#0' }, 1],
    [{ hit: 'dry-run deny', rule: 'shop/p#1' }, 2],
  ]);
});

test('rules beyond the limit are counted together', () => {
  const hits = new PolicyHits();
  for (let at = 0; at < 1_100; at++) hits.count([`audit shop/p#${at}`]);
  const counters = hits.counters();
  assert.deepEqual([Object.keys(counters).length, counters['ambient_policy_hits_total/other -']], [1_001, 100]);
});
