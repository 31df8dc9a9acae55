// `ambientctl tap` on flows that were saved: what it prints, and what it says of what it cannot read.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { refusedFlow, requestFlow, tunnelFlow } from '../telemetry/testing-flows.ts';
import { assertGolden } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';

const flows = [
  requestFlow(),
  { ...requestFlow({ status: 200, durationMs: 3.2, attempts: 1 }), weight: 64 },
  tunnelFlow(),
  tunnelFlow({ direction: 'outbound' }),
  tunnelFlow({ direction: 'outbound', flag: 'CONNECT', error: '10.244.2.3:15008 cannot be reached' }),
  refusedFlow(),
];

function saved(context: TestContext, text = flows.map((flow) => JSON.stringify(flow)).join('\n')): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-tap-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'flows.json');
  writeFileSync(file, text);
  return file;
}

for (const format of ['compact', 'table', 'dict', 'json']) {
  test(`flows as ${format}, in the order of time, each once`, async (context) => {
    const { code, out, err } = await runInProcess(['tap', '--input-file', saved(context), '-o', format]);
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assertGolden(`tap.${format}.txt`, out);
  });
}

test('filters of the command line: again means or, another means and, --not negates the next', async (context) => {
  const file = saved(context);
  const count = async (...args: string[]): Promise<number> => {
    const { code, out } = await runInProcess(['tap', '--input-file', file, '-o', 'json', ...args]);
    assert.equal(code, 0);
    return out.split('\n').length - 1;
  };
  assert.equal(await count(), 5);
  assert.equal(await count('--all-sides'), 6);
  assert.equal(await count('--status', '5xx', '--status', '200'), 2);
  assert.equal(await count('--status', '5xx', '--slower-than', '1s'), 0);
  assert.equal(await count('--not', '--verdict', 'forwarded', '-n', 'shop'), 3);
  assert.equal(await count('--last', '1'), 1);
  assert.equal(await count('--since', '1m'), 0);
});

test('STRICT has the name that its author knows, also where it is the reason', async (context) => {
  const key = 'ambient-system/istio_converted_static_strict';
  const flow = { ...refusedFlow(), decidedBy: key, error: `denied by ${key}` };
  const file = saved(context, JSON.stringify(flow));
  for (const format of ['compact', 'table', 'dict']) {
    const { out } = await runInProcess(['tap', '--input-file', file, '-o', format]);
    assert.match(out, /DENY by PeerAuthentication STRICT$/m, format);
  }
});

test('what cannot be read is said with its place, exit 2', async (context) => {
  const file = saved(context, `${JSON.stringify(tunnelFlow())}\n{"time": 1}\n`);
  const odd = await runInProcess(['tap', '--input-file', file]);
  assert.equal(odd.code, 2);
  assert.ok(odd.err.includes(`${file}:2`), odd.err);
  const gone = await runInProcess(['tap', '--input-file', `${file}.gone`]);
  assert.equal(gone.code, 2);
  assert.ok(gone.err.includes('ENOENT'), gone.err);
  const wrong = await runInProcess(['tap', '--input-file', file, '--to-port', 'http']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /'http' is no port/);
});

for (const kind of ['services', 'workloads', 'namespaces', 'routes']) {
  test(`stat of ${kind}: the golden signals of what was saved`, async (context) => {
    const { code, out, err } = await runInProcess(['stat', kind, '--input-file', saved(context)]);
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assertGolden(`stat-${kind}.txt`, out);
  });
}

test('stat as JSON, by short names, of a namespace; and what is none', async (context) => {
  const file = saved(context);
  const json = await runInProcess(['stat', 'svc', '--input-file', file, '-n', 'legacy', '-o', 'json']);
  const { services } = JSON.parse(json.out);
  assert.deepEqual([services.length, services[0].name, services[0].refused], [1, 'shop/cart', 1]);
  const none = await runInProcess(['stat', 'gateways', '--input-file', file]);
  assert.equal(none.code, 2);
  assert.match(none.err, /there is no 'gateways' to sum up by; use services/);
});

test('top once: who asks whom for what, the busiest first', async (context) => {
  const { code, out } = await runInProcess(['top', '--once', '--input-file', saved(context)]);
  assert.equal(code, 0);
  assertGolden('top.txt', out);
});
