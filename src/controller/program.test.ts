// The program as it is started: exit codes, its words, and its end.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../bin/ambient-controller.ts', import.meta.url));
const timeout = { timeout: 20_000 };

function setUp(context: TestContext, extra = '') {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-program-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(path.join(dir, 'manifests'));
  writeFileSync(path.join(dir, 'jwks.json'), '{"keys":[]}');
  const config = path.join(dir, 'controller.yaml');
  const text = `sources: [${dir}/manifests]
caDir: ${dir}/ca
listenHost: 127.0.0.1
rootsFile: ${dir}/roots.pem
ports: { discovery: 0, admin: 0, metrics: 0, readiness: 0, page: 0 }
auth: { issuer: https://lab, jwksFile: ${dir}/jwks.json }
log: { format: text }
${extra}`;
  writeFileSync(config, text);
  return { dir, config };
}

function run(args: readonly string[]) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 10_000 });
}

/** Collects standard error until `pattern` shows in it. */
async function untilSaid(child: ChildProcess, pattern: RegExp): Promise<string> {
  let said = '';
  for await (const chunk of child.stderr ?? []) {
    said += String(chunk);
    if (pattern.test(said)) return said;
  }
  return assert.fail(`it ended without saying ${pattern}: ${said}`);
}

test('it tells when it is ready, and SIGTERM ends it with 0', timeout, async (context) => {
  const { config } = setUp(context);
  const child = spawn(process.execPath, [program, '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  context.after(() => child.kill('SIGKILL'));
  const said = await untilSaid(child, /the controller is ready/);
  assert.doesNotMatch(said, /PRIVATE/);
  child.kill('SIGTERM');
  const [code, signal] = await once(child, 'exit');
  assert.deepEqual([code, signal], [0, null]);
});

test('a bad configuration ends it with 2 and the place', timeout, (context) => {
  const { config } = setUp(context, 'certificateTTL: 1h\n');
  const ended = run(['--config', config]);
  assert.equal(ended.status, 2);
  assert.match(ended.stderr, /controller\.yaml:8:1: certificateTTL is no known field/);
});

test('a certificate authority that cannot be used ends it with 2 and the file', timeout, (context) => {
  const { config, dir } = setUp(context);
  mkdirSync(path.join(dir, 'ca'));
  writeFileSync(path.join(dir, 'ca', 'tls.crt'), 'nothing');
  const ended = run(['--config', config]);
  assert.equal(ended.status, 2);
  assert.match(ended.stderr, /tls\.(key|crt): /);
});

test('without configuration it says how it is used and ends with 2', timeout, () => {
  const ended = run([]);
  assert.equal(ended.status, 2);
  assert.match(ended.stderr, /^usage: ambient-controller --config FILE/);
  assert.equal(run(['--help']).status, 0);
  assert.match(run(['--version']).stdout, /^\d+\.\d+\.\d+\n$/);
});
