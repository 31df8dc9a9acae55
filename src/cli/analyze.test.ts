// `ambientctl analyze` as a person and a script see it: formats, thresholds, what is suppressed, exit codes.
import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
  assert.deepEqual(await run('-n', 'shop'), [1, 2]);
  assert.deepEqual(await run('-n', 'other'), [0, 0]);
  assert.deepEqual(await run('-l', 'app=cart'), [0, 0]);
  assert.deepEqual(await run('-l', '!app'), [0, 1]);
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

const slips = `# kept
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {ambient.mesh/dataplane-mode: Ambient}} # in
---
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: only, namespace: shop}
spec: {action: DENIED}
`;

test('--fix --dry-run shows a diff and writes nothing; --fix writes, says what is left, and is done then', async (context) => {
  const dir = saved(context);
  const [file, link] = [path.join(dir, 'mesh.yaml'), path.join(dir, 'other.yml')];
  writeFileSync(path.join(dir, '.real'), slips);
  rmSync(file);
  symlinkSync('.real', file);
  writeFileSync(link, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n');
  chmodSync(path.join(dir, '.real'), 0o640);
  const dry = await runInProcess(['analyze', '--fix', '--dry-run', dir]);
  assert.equal(dry.code, 1);
  assertGolden('analyze-fix.diff.txt', dry.out.replaceAll(dir.slice(1), 'deploy'));
  assertGolden('analyze-fix.dry.err.txt', dry.err.replaceAll(dir, 'deploy'));
  assert.equal(readFileSync(file, 'utf8'), slips);
  const json = await runInProcess(['analyze', '--fix', '--dry-run', dir, '-o', 'json']);
  assertGolden(
    'analyze-fix.json.txt',
    json.out.replaceAll(`- a${dir}`, '- a/deploy').replaceAll(`+ b${dir}`, '+ b/deploy').replaceAll(dir, 'deploy'),
  );
  const real = await runInProcess(['analyze', '--fix', dir]);
  assertGolden('analyze-fix.table.txt', real.out.replaceAll(dir, 'deploy'));
  assert.equal(readFileSync(file, 'utf8'), slips.replace('Ambient}', 'ambient}'));
  assert.ok(lstatSync(file).isSymbolicLink());
  assert.equal(statSync(file).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(dir).sort(), ['.real', 'mesh.yaml', 'other.yml']);
  const again = await runInProcess(['analyze', '--fix', dir]);
  assert.match(again.err, /^0 fixed in 0 files, 1 left, of 3 objects/);
});

test('what is suppressed is not mended; standard input and a mesh cannot be', async (context) => {
  const dir = saved(context);
  writeFileSync(path.join(dir, 'mesh.yaml'), slips);
  const { err } = await runInProcess(['analyze', '--fix', '-S', 'AMB0101', '-S', 'AMB0001', dir]);
  assert.match(err, /^0 fixed in 0 files, 0 left/);
  for (const args of [['--fix'], ['--fix', '-'], ['--dry-run', dir], ['--fix', '-o', 'sarif', dir]]) {
    assert.equal((await runInProcess(['analyze', ...args])).code, 2);
  }
});
