import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDurationMs } from './duration.ts';

test('a duration is one amount or a sum of them, each with its unit', () => {
  const rows: [text: string, ms: number][] = [
    ['500ms', 500],
    ['1.5s', 1500],
    ['1h30m', 5_400_000],
    ['1m30s250ms', 90_250],
    ['7d', 604_800_000],
    ['250us', 0.25],
    ['0s', 0],
  ];
  for (const [text, ms] of rows) assert.equal(parseDurationMs(text), ms, text);
});

test('anything else is none', () => {
  for (const bad of ['', '5', 's', '-5s', '5 s', '5x', '1.s', '.5s', '1h 30m', 'Infinity', '1e3s']) {
    assert.equal(parseDurationMs(bad), null, bad);
  }
});
