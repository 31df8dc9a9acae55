import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseLoad } from './load.ts';
import { describeMachine, metricNames, type Report, type ReportRow, renderReport } from './report.ts';
import { readable, spreadOf } from './statistics.ts';

describe('spreadOf', () => {
  const rows: [values: number[], expected: ReturnType<typeof spreadOf>][] = [
    [[], null],
    [[3], { median: 3, min: 3, max: 3 }],
    [[9, 1, 4], { median: 4, min: 1, max: 9 }],
    [[10, 2, 4, 1], { median: 3, min: 1, max: 10 }],
  ];
  for (const [values, expected] of rows) it(`[${values}]`, () => assert.deepEqual(spreadOf(values), expected));
});

describe('readable', () => {
  const rows: [value: number, text: string][] = [
    [0, '0'],
    [36_123, '36,100'],
    [128_712, '129,000'],
    [1_234_567, '1,230,000'],
    [999, '999'],
    [29.07, '29.1'],
    [3.3, '3.30'],
    [0.8471, '0.847'],
    [0.062, '0.0620'],
    [-0.4, '-0.400'],
  ];
  for (const [value, text] of rows) it(text, () => assert.equal(readable(value), text));
});

describe('parseLoad', () => {
  const line = (requests: number): string =>
    `Running 1s test\n{"requests":${requests},"bytes":1000,"durationUs":2000000,"p50Us":980,"p99Us":3100,` +
    '"errors":{"connect":1,"read":2,"write":0,"timeout":0,"status":4}}\n';

  it('reads the line of wrk.lua, and adds up what went wrong', () => {
    assert.deepEqual(parseLoad(line(500)), {
      requests: 500,
      bytes: 1000,
      seconds: 2,
      p50Ms: 0.98,
      p99Ms: 3.1,
      errors: 7,
    });
  });

  it('takes no answer for a failure', () => {
    assert.throws(() => parseLoad(line(0)), /no request was answered/);
    assert.throws(() => parseLoad('unable to connect to 10.0.0.1:80 Connection refused\n'), /Connection refused/);
  });
});

describe('renderReport', () => {
  const row = (path: string, rps: number | null): ReportRow => ({
    path,
    metrics: Object.fromEntries(
      metricNames.map((name) => [name, name === 'rps' && rps !== null ? spreadOf([rps]) : null]),
    ) as ReportRow['metrics'],
    socketErrors: 0,
  });
  const report: Report = {
    name: 'l4',
    machine: describeMachine(),
    node: 'v26.0.0',
    startedAt: '2026-01-01T00:00:00.000Z',
    rounds: 1,
    quick: true,
    rows: [row('haproxy', 20_000), row('ambient', 30_000)],
    leftOut: [{ path: 'envoy-hbone', reason: 'no network' }],
  };
  const cells = (text: string, path: string): string[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`| ${path}`))
      .map((line) => line.split('|')[2]?.trim() ?? '');

  it('shows medians, ratios to each peer, and what was left out', () => {
    const text = renderReport(report, 'ambient');
    assert.deepEqual(cells(text, 'ambient'), ['30,000', '–'], 'what it does, what it costs');
    assert.deepEqual(cells(text, 'haproxy'), ['20,000', '–', '1.50 ×', '–']);
    assert.match(text, /envoy-hbone was left out: no network/);
  });

  it('leaves the ratios out when the path was not measured', () => {
    assert.deepEqual(cells(renderReport(report, 'nobody'), 'ambient'), ['30,000', '–']);
  });
});
