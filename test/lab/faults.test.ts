// `lab fault`: each fault does what it says, traffic goes on as far as it can, and `heal` leaves nothing behind.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { LabFault } from '../../src/lab/control-types.ts';
import type { PodAgent, PodConnection } from './agent.ts';
import { namespace, node1, node2, pod, startLab, type TestLab, twoNodes } from './harness.ts';

const execFileP = promisify(execFile);
const port = 8080;
const timeout = 60_000;
const manifests = twoNodes + namespace('app') + pod('client', { node: node1 }) + pod('server', { node: node2 });

describe('faults', () => {
  let lab: TestLab;
  let client: PodAgent;
  let server: PodAgent;
  let host: string;

  before(async () => {
    lab = await startLab(manifests);
    [client, server] = await Promise.all([lab.agent('client'), lab.agent('server')]);
    await server.listen(port);
    host = await lab.addressOf('server');
  });
  after(() => lab?.close());

  async function pair(): Promise<[PodConnection, PodConnection]> {
    const near = await client.connect(host, port);
    await near.write('hello;');
    const far = await server.accepted(port, 20_000);
    await far.untilRead('hello;');
    return [near, far];
  }

  /** How long `bytes` take to the server and a word back. */
  async function exchangeMs([near, far]: [PodConnection, PodConnection], bytes: number): Promise<number> {
    const before = (await far.state()).bytesRead;
    const told = (await near.state()).bytesRead;
    const startMs = performance.now();
    await near.writePattern(bytes, 7);
    await far.until('read', (state) => state.bytesRead === before + bytes, 30_000);
    await far.write('x');
    await near.until('answered', (state) => state.bytesRead > told, 30_000);
    return performance.now() - startMs;
  }

  const healed = async (): Promise<void> => {
    await lab.client.fault({ type: 'heal' });
    assert.deepEqual((await lab.client.status()).faults, []);
  };

  const serverLink = { pod: { namespace: 'app', name: 'server' } };
  const rows: [fault: LabFault, words: string, bytes: number, atLeastMs: number][] = [
    [{ type: 'delay', node: node2, delayMs: 60 }, `link of ${node2}: delay 60ms`, 10, 120],
    [{ type: 'delay', ...serverLink, delayMs: 60 }, 'link of app/server: delay 60ms', 10, 120],
    [{ type: 'reorder', node: node2, ratio: 0.3, delayMs: 5 }, `link of ${node2}: delay 5ms, reorder 30%`, 400_000, 0],
    [{ type: 'loss', ...serverLink, ratio: 0.02 }, 'link of app/server: loss 2%', 400_000, 0],
    [{ type: 'rate', node: node1, bitsPerSecond: 4e6 }, `link of ${node1}: rate 4000000bit/s`, 500_000, 500],
    [{ type: 'slow', part: { kind: 'node', name: node2 }, ratio: 0.3 }, `node/${node2} runs 30% of the time`, 9, 0],
  ];
  for (const [fault, words, bytes, atLeastMs] of rows) {
    test(words, { timeout }, async () => {
      const running = await pair();
      await lab.client.fault(fault);
      assert.deepEqual((await lab.client.status()).faults, [words]);
      const tookMs = await exchangeMs(running, bytes);
      assert(tookMs >= atLeastMs, `${Math.round(tookMs)} ms`);
      await (await pair())[0].reset();
      await healed();
      await exchangeMs(running, 1000);
      await running[0].reset();
    });
  }

  test('names go on resolving while links of nodes come and go', { timeout }, async () => {
    // Symptom: after `heal` no name resolved for ten seconds, the fabric's bridge had taken another hardware address.
    const inFabric = ['-t', String(lab.client.lab.hostPid), '--net', '--user', '--preserve-credentials'];
    const args = process.getuid?.() === 0 ? inFabric.slice(0, 3) : inFabric;
    const fabric = async (): Promise<string> => {
      const { stdout } = await execFileP('nsenter', [...args, '--', 'ip', '-j', 'link', 'show', 'type', 'bridge']);
      return JSON.stringify(JSON.parse(stdout).map(({ address }: { address: string }) => address));
    };
    const before = await fabric();
    for (const node of [node1, node2]) {
      await lab.client.fault({ type: 'delay', node, delayMs: 1 });
      assert.equal(await fabric(), before, `while ${node} is late`);
      await healed();
      assert.equal(await fabric(), before, `after ${node} was`);
    }
  });

  test("a pod's link that is cut carries nothing until it is healed", { timeout }, async () => {
    const [near, far] = await pair();
    await lab.client.fault({ type: 'cut', ...serverLink });
    await near.write('late;');
    await assert.rejects(far.untilRead('late;', 300), /not read/);
    await lab.client.fault({ type: 'heal', part: { kind: 'pod', namespace: 'app', name: 'server' } });
    await far.untilRead('late;', 20_000);
    await near.reset();
  });

  test('a full disk: the proxy says so, goes on, and saves again when there is room', { timeout }, async () => {
    await lab.client.fault({ type: 'disk-full', node: node1 });
    await lab.apply(pod('another', { node: node2 }));
    const said = async (): Promise<boolean> => {
      const lines = lab.client.logs({ kind: 'node', name: node1 }, { follow: true });
      for await (const line of lines) if (line.includes('could not be saved')) return true;
      return false;
    };
    assert(await said());
    await (await pair())[0].reset();
    await healed();
    await lab.client.restart({ kind: 'node', name: node1 }, { kill: true });
    await (await pair())[0].reset();
  });

  test('a controller that talks garbage changes nothing, and is forgotten', { timeout }, async () => {
    await lab.client.waitInStep(30_000);
    const names = (dump: { readonly workloads: readonly { readonly uid: string }[] }): string[] =>
      dump.workloads.map(({ uid }) => uid).sort();
    const before = await lab.dump(node1);
    await lab.client.fault({ type: 'garbage' });
    for (;;) {
      const { discovery } = await lab.dump(node1);
      if (discovery.lastError !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await (await pair())[0].reset();
    const during = await lab.dump(node1);
    assert.deepEqual(names(during), names(before));
    assert.equal(during.ready, true);
    await healed();
    await lab.client.waitInStep(30_000);
    assert.equal((await lab.dump(node1)).discovery.connected, true);
  });
});
