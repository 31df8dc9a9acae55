import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AloneCost } from './flow-alone.ts';
import { flowKinds, type WindowPair } from './flow-lab.ts';
import { connectionLoad, modes, requestLoad } from './flow-loads.ts';
import { type Measured, resultOf } from './flows.ts';
import { type Effect, effectOf } from './paired.ts';

/** Numbers that look random, the same each time. */
function seeded(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

test('the effect of pairs is found under noise much larger than it, and none where there is none', () => {
  const random = seeded();
  const noisy = (added: number): Effect => {
    const differences = Array.from({ length: 2_000 }, () => added + (random() - 0.5) * 20);
    return effectOf(differences, random);
  };
  const some = noisy(2);
  assert.ok(some.low > 1 && some.low < 2 && some.high > 2 && some.high < 3, JSON.stringify(some));
  const none = noisy(0);
  assert.ok(none.low < 0 && none.high > 0, JSON.stringify(none));
});

const sure = (ns: number): Effect => ({ middle: ns, low: ns * 0.9, high: ns * 1.1, pairs: 10 });

function measuredOf(onNs: number, eachNs: number): Measured[] {
  const alone: AloneCost = { baseNs: 1_000, sampled: sure(10), each: sure(eachNs), eachCold: sure(eachNs) };
  const random = seeded();
  const pairs: WindowPair[] = Array.from({ length: 100 }, () => {
    const off = 100_000 + random() * 100;
    return { off, on: off + onNs + random() * 100, perSecond: 2_000 };
  });
  return flowKinds.map((kind) => ({ kind, alone, pairs, quietNs: 200_000 }));
}

for (const [title, onNs, eachNs, isOver, says] of [
  ['both ways say that it is little', 500, 300, false, 'below 2 %'],
  ['the programs are slower with it', 3_000, 300, true, 'ABOVE 2 %'],
  ['the record by itself takes too long', 500, 8_000, true, 'ABOVE 2 %'],
] as const) {
  test(`verdict: ${title}`, () => {
    const result = resultOf(measuredOf(onNs, eachNs));
    assert.equal(result.isOver, isOver);
    assert.ok(result.text.includes(says), result.text);
  });
}

test('verdict: noise is no proof, neither way', () => {
  const random = seeded();
  const [connection, request] = measuredOf(0, 300) as [Measured, Measured];
  const pairs = request.pairs.map((pair) => ({ ...pair, on: pair.off * (0.5 + random()) }));
  const { isOver, text } = resultOf([connection, { ...request, pairs }]);
  assert.equal(isOver, false);
  assert.ok(text.includes('cannot be told'), text);
});

test('the loads make flows in each mode', () => {
  for (const load of [connectionLoad(), requestLoad()]) for (const mode of modes) load.run(mode, 100);
});
