// Bad input: a clear error with its place, and the last good state goes on.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { StatusView } from '../../src/model/views.ts';
import type { PodAgent } from './agent.ts';
import {
  authorizationPolicy,
  namespace,
  node1,
  node2,
  pod,
  startLab,
  type TestLab,
  takesUnder,
  twoNodes,
} from './harness.ts';

const run = promisify(execFile);
const root = path.join(import.meta.dirname, '../..');
const port = 8080;
const manifests = twoNodes + namespace('app') + pod('client', { node: node1 }) + pod('server', { node: node2 });
const deny = authorizationPolicy({ name: 'shut', spec: { action: 'DENY', rules: [{}] } });

describe('configuration', () => {
  let lab: TestLab;
  let client: PodAgent;
  let server: PodAgent;

  before(async () => {
    lab = await startLab(manifests);
    [client, server] = await Promise.all([lab.agent('client'), lab.agent('server')]);
    await server.listen(port);
  });
  after(() => lab?.close());

  async function works(): Promise<boolean> {
    const near = await client.connect(await lab.addressOf('server'), port).catch(() => null);
    if (near === null) return false;
    await near.write('hello;');
    const decided = new AbortController();
    const far = await Promise.race([
      server.accepted(port, 3000, decided.signal).catch(() => null),
      near.untilClosed(3000).then(
        () => null,
        () => null,
      ),
    ]);
    decided.abort();
    await near.reset();
    return far !== null;
  }

  async function statusUntil(what: string, fits: (status: StatusView) => boolean): Promise<StatusView> {
    const deadlineMs = performance.now() + 5000;
    for (;;) {
      const { stdout } = await ambientctl('status', '-o', 'json');
      const status = JSON.parse(stdout) as StatusView;
      if (fits(status)) return status;
      if (performance.now() > deadlineMs) throw new Error(`status never showed ${what}: ${stdout}`);
    }
  }

  interface Outcome {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
  }

  async function ambientctl(...args: string[]): Promise<Outcome> {
    const argv: string[] = [path.join(root, 'src/bin/ambientctl.ts'), ...args];
    const env = { ...process.env, AMBIENT_LAB: lab.client.lab.name };
    try {
      const { stdout, stderr } = await run(process.execPath, argv, { env });
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, stdout, stderr };
    }
  }

  test('a change in the watched folder is live in under 1 s', { timeout: 90_000 }, async () => {
    const liveMs = async (): Promise<number> => {
      assert.equal(await works(), true);
      const near = await client.connect(await lab.addressOf('server'), port);
      await near.write('live;');
      await (await server.accepted(port)).untilRead('live;');
      const startMs = performance.now();
      writeFileSync(path.join(lab.folder, 'policy.yaml'), deny);
      await near.untilClosed(20_000);
      const tookMs = performance.now() - startMs;
      rmSync(path.join(lab.folder, 'policy.yaml'));
      const deadlineMs = performance.now() + 20_000;
      while (!(await works())) assert(performance.now() < deadlineMs, 'the removed policy is gone');
      return tookMs;
    };
    await takesUnder(1000, liveMs);
  });

  test('a broken file changes nothing and is named with its place in status', { timeout: 30_000 }, async () => {
    writeFileSync(path.join(lab.folder, 'mesh.yaml'), `${manifests}\n---\nkind: Pod\nmetadata: {name: [broken\n`);
    const status = await statusUntil('the broken file', (each) => each.sources.some((source) => !source.ok));
    const error = status.sources.find((source) => !source.ok)?.error;
    assert.match(error?.file ?? '', /mesh\.yaml$/);
    assert((error?.line ?? 0) > 1 && (error?.column ?? 0) >= 1, JSON.stringify(error));
    assert.equal(await works(), true, 'the last good state goes on');
    writeFileSync(path.join(lab.folder, 'mesh.yaml'), manifests);
    await statusUntil('the repair', (each) => each.sources.every((source) => source.ok));
  });

  test('a bad policy is refused as a whole, with its place, and nothing is applied', { timeout: 30_000 }, async () => {
    const bad = authorizationPolicy({
      name: 'bad',
      spec: { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/99'] } }] }] },
    });
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'ambient-bad-')), 'bad.yaml');
    writeFileSync(file, `${deny}${bad}`);
    const result = await ambientctl('lab', 'apply', '-f', file);
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stderr + result.stdout, /bad\.yaml:\d+:\d+/);
    assert.equal(await works(), true, 'the good half of the file was not applied either');
    rmSync(path.dirname(file), { recursive: true });
  });

  test('a kind that nobody knows is listed as ignored', { timeout: 30_000 }, async () => {
    const odd = `---\n${JSON.stringify({ apiVersion: 'example.com/v1', kind: 'Sprocket', metadata: { name: 'x' } })}\n`;
    writeFileSync(path.join(lab.folder, 'odd.yaml'), odd);
    const listed = (each: StatusView) =>
      each.sources.some((source) => source.ignored.some((ignored) => ignored.kind.includes('Sprocket')));
    await statusUntil('the ignored kind', listed);
    rmSync(path.join(lab.folder, 'odd.yaml'));
  });

  const programs = {
    'ambient-node': 'nodeName: node-1',
    'ambient-controller': 'sources: [.]\ncaDir: ca\nauth: {issuer: i, jwksFile: j}',
  };
  for (const [program, needed] of Object.entries(programs)) {
    test(`a bad config file of ${program}: exit 2 and the place`, { timeout: 30_000 }, async () => {
      const file = path.join(lab.folder, `${program}.config`);
      writeFileSync(file, `${needed}\nlog:\n  level: info\n  colour: blue\n`);
      const argv = [path.join(root, 'src/bin', `${program}.ts`), '--config', file];
      const failed = (await run(process.execPath, argv).then(
        () => null,
        (error: unknown) => error,
      )) as Outcome | null;
      assert.equal(failed?.code, 2, failed?.stderr ?? 'it started');
      assert.match(failed?.stderr ?? '', new RegExp(`${program}\\.config:\\d:3.*colour`));
      rmSync(file);
    });
  }
});
