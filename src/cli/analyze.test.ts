// `ambientctl analyze` as a person and a script see it: formats, thresholds, what is suppressed, exit codes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { assertGolden } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';

const manifests = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-web, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: DENIED
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{port: 80}]
`;

function saved(context: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-analyze-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(path.join(dir, 'mesh.yaml'), manifests);
  return dir;
}

for (const format of ['table', 'json', 'yaml', 'sarif']) {
  test(`findings as ${format}; an error ends it with 1`, async (context) => {
    const dir = saved(context);
    const { code, out, err } = await runInProcess(['analyze', dir, '-o', format]);
    assert.equal(code, 1);
    assertGolden(`analyze.${format}.txt`, out.replaceAll(dir, 'deploy'));
    assert.match(err, /^1 error, 1 warning, 0 remarks in 2 objects/);
  });
}

test('thresholds and what is suppressed decide what is shown, and the exit code', async (context) => {
  const dir = saved(context);
  const run = async (...args: string[]) => {
    const { code, out } = await runInProcess(['analyze', dir, ...args]);
    return [code, out.split('\n').length - 1];
  };
  assert.deepEqual(await run('--output-threshold', 'error'), [1, 1]);
  assert.deepEqual(await run('-S', 'AMB0001'), [0, 1]);
  assert.deepEqual(await run('-S', 'AMB0001', '--failure-threshold', 'warning'), [1, 1]);
  assert.deepEqual(await run('-S', 'AMB0001=AuthorizationPolicy shop/*', '-S', 'AMB1003=Service shop/cart'), [0, 0]);
  assert.deepEqual(await run('-S', 'AMB0001=Service *'), [1, 2]);
  const unknown = await runInProcess(['analyze', dir, '-S', 'AMB9']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /no code AMB9/);
});

test('every code is listed; a path that is not there ends it with 2', async () => {
  const { code, out } = await runInProcess(['analyze', '-L']);
  assert.equal(code, 0);
  assertGolden('analyze-codes.txt', out);
  const gone = await runInProcess(['analyze', '/nowhere']);
  assert.equal(gone.code, 2);
  assert.match(gone.err, /ENOENT/);
});

const strict = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {ambient.mesh/dataplane-mode: ambient}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
`;

test('edges and flows of a file say who would be cut off', async (context) => {
  const dir = saved(context);
  const file = path.join(dir, 'mesh.yaml');
  writeFileSync(file, strict);
  const [edgesFile, flowsFile] = [path.join(dir, 'edges'), path.join(dir, 'flows')];
  const from = { namespace: 'legacy', workload: 'batch', identity: '' };
  const to = { namespace: 'shop', workload: 'cart', service: '', identity: '' };
  writeFileSync(edgesFile, JSON.stringify({ edges: [{ from, to, transport: 'plaintext', opened: 3, refused: 0 }] }));
  const ends = { source: from, destination: to, reporter: { node: 'n' }, transport: 'plaintext', flag: '-', weight: 1 };
  writeFileSync(flowsFile, `${JSON.stringify({ time: '2026-01-01T00:00:00Z', kind: 'connection', ...ends })}\n`);
  assert.equal((await runInProcess(['analyze', file])).out, '');
  for (const args of [
    ['--edges', edgesFile],
    ['--flows', flowsFile],
  ]) {
    const { code, out } = await runInProcess(['analyze', file, ...args]);
    assert.equal(code, 0);
    assert.match(out, /mesh.yaml:10:21\): refuses legacy\/batch, seen calling shop\/cart in plaintext; .* \[AMB1024\]/);
  }
  const wrong = await runInProcess(['analyze', file, '--edges', file]);
  assert.equal(wrong.code, 2);
});
