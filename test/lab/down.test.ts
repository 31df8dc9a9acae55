// What a lab leaves behind: nothing, however it ends, as root and as an ordinary user.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { namespace, node1, node2, pod, startLab, twoNodes } from './harness.ts';

const run = promisify(execFile);
const root = path.join(import.meta.dirname, '../..');
const manifests = twoNodes + namespace('app') + pod('client', { node: node1 }) + pod('server', { node: node2 });

/** What a lab could leave on the host: processes of the product, network namespaces, links, rules, files. */
async function traces(): Promise<Record<string, unknown>> {
  const mine = new Set(ancestors());
  const processes = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && !mine.has(Number(entry)))
    .map((entry) => commandLine(entry))
    .filter((line) => line.includes(`${root}/src/`));
  return {
    processes,
    namespaces: (await run('ip', ['netns', 'list'])).stdout,
    links: (await run('ip', ['-o', 'link', 'show'])).stdout.replaceAll(/\s+/g, ' '),
    rules: (await run('ip', ['rule', 'list'])).stdout,
    nft: await run('nft', ['list', 'tables']).then(
      ({ stdout }) => stdout,
      () => 'not permitted',
    ),
    mounts: readFileSync('/proc/self/mounts', 'utf8'),
    run: readdirSync('/run').filter((each) => each.includes('ambient')),
    temporary: readdirSync(tmpdir()).filter((each) => !each.startsWith('ambient-test-')),
  };
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function ancestors(): number[] {
  const found: number[] = [];
  for (let pid = process.pid; pid > 1; ) {
    found.push(pid);
    pid = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 1);
  }
  return found;
}

/** Resolves when the process has gone, zombies included. */
async function untilGone(pid: number): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    try {
      readlinkSync(`/proc/${pid}/ns/pid`);
    } catch {
      return;
    }
    assert(performance.now() < deadlineMs, `process ${pid} has gone`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

// A folder for temporary files that nobody else uses: what others leave in theirs is none of the lab's.
process.env.TMPDIR = mkdtempSync(path.join(tmpdir(), 'ambient-down-'));
chmodSync(process.env.TMPDIR, 0o1777);

describe('a lab leaves nothing behind', () => {
  after(() => rmSync(process.env.TMPDIR ?? '', { recursive: true, force: true }));

  test('lab down leaves no process, namespace, rule or file', { timeout: 120_000 }, async () => {
    const before = await traces();
    const lab = await startLab(manifests);
    await lab.close();
    assert.deepEqual(await traces(), before);
  });

  test('kill -9 of the lab leaves no process, namespace, rule or file', { timeout: 120_000 }, async () => {
    const before = await traces();
    const lab = await startLab(manifests);
    const { hostPid } = lab.client.lab;
    const pids = lab.processes().map(({ pid }) => pid);
    assert(pids.length > 5, 'the lab had processes');
    process.kill(hostPid, 'SIGKILL');
    await Promise.all(pids.map(untilGone));
    await lab.close();
    assert.deepEqual(await traces(), before);
  });

  test('an ordinary user starts a lab, uses it and ends it', { timeout: 180_000 }, async (t) => {
    const before = await traces();
    const user = process.getuid?.() === 0 ? 'nobody' : null;
    const cli = [process.execPath, path.join(root, 'src/bin/ambientctl.ts')];
    const sample = path.join(root, 'deploy/samples/shop');
    const asUser = async (...args: string[]): Promise<string> => {
      const argv =
        user === null
          ? [...cli, ...args]
          : ['setpriv', `--reuid=${user}`, '--regid=nogroup', '--clear-groups', ...cli, ...args];
      const child = spawn(argv[0]!, argv.slice(1), {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, HOME: '/tmp' },
      });
      let out = '';
      let talk = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (talk += chunk.toString()));
      const code = await new Promise((resolve) => child.on('close', resolve));
      assert.equal(code, 0, `${args.join(' ')}: ${talk}${out}`);
      return out;
    };
    const name = `rootless-${process.pid}`;
    await asUser('lab', 'up', name, '-f', sample, '--timeout', '120s');
    t.after(() => asUser('lab', 'down', name).catch(() => {}));
    const answer = await asUser('lab', 'exec', '--lab', name, '-n', 'shop', 'deploy/web', '--', 'hostname');
    assert.match(answer, /^web-/);
    const status = JSON.parse(await asUser('status', '--lab', name, '-o', 'json')) as {
      proxies: { inStep: boolean }[];
    };
    assert.equal(status.proxies.length, 2);
    assert(status.proxies.every((proxy) => proxy.inStep));
    await asUser('lab', 'down', name);
    assert.deepEqual(await traces(), before);
  });
});
