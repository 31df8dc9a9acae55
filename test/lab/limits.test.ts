// Bounded and fair: a pod that floods is stopped at its own limit, its neighbour notices nothing, and everything comes
// back. Limits change while the proxy runs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { enterCommand } from '../../src/lab/enter.ts';
import type { PodAgent, PodConnection } from './agent.ts';
import { namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';

const run = promisify(execFile);
const port = 8080;
const bulkPort = 8081;
const podMax = 60;
const flood = 150;
const stalled = 20;
/** More than every buffer on the way of one connection takes. */
const unreadBytes = 32 * 1024 * 1024;
const manifests =
  twoNodes +
  namespace('app') +
  pod('flood', { node: node1 }) +
  pod('neighbour', { node: node1 }) +
  pod('server', { node: node2 }) +
  pod('other', { node: node2 }) +
  service('server', 80, port, { app: 'server' });

describe('limits', () => {
  let lab: TestLab;
  let flooder: PodAgent;
  let neighbour: PodAgent;
  let server: PodAgent;
  let other: PodAgent;

  before(async () => {
    lab = await startLab(manifests, { nodeConfig: { limits: { connectionsPerPodMax: podMax }, threads: 2 } });
    const names = ['flood', 'neighbour', 'server', 'other'];
    const agents = await Promise.all(names.map((name) => lab.agent(name)));
    [flooder, neighbour, server, other] = agents as [PodAgent, PodAgent, PodAgent, PodAgent];
    await Promise.all([server.listen(port, { greeting: 'hi;' }), other.listen(port, { greeting: 'hi;' })]);
  });
  after(() => lab?.close());

  const descriptors = (node: string): number => readdirSync(`/proc/${lab.proxyPid(node)}/fd`).length;

  /** Opens one; resolves when it was greeted, or with null when it was reset. */
  async function open(agent: PodAgent, address: string): Promise<PodConnection | null> {
    const near = await agent.connect(address, port).catch(() => null);
    if (near === null) return null;
    const { text } = await near.until('greeted or cut', (state) => state.text === 'hi;' || state.closed, 30_000);
    return text === 'hi;' ? near : null;
  }

  async function untilHolds(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadlineMs = performance.now() + 20_000;
    while (!(await holds())) {
      assert(performance.now() < deadlineMs, `waited 20 s for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  test('a pod that opens too many is stopped at its own limit, and its neighbour is not', {
    timeout: 90_000,
  }, async () => {
    const address = await lab.addressOf('server');
    const otherAddress = await lab.addressOf('other');
    // One of each before, so that the sessions between the nodes are there already.
    for (const agent of [flooder, neighbour]) await (await open(agent, otherAddress))?.reset();
    const descriptorsBefore = [descriptors(node1), descriptors(node2)];
    const flooding = Promise.all(Array.from({ length: flood }, () => open(flooder, address)));
    const undisturbed: (PodConnection | null)[] = [];
    for (let count = 0; count < podMax / 2; count++) undisturbed.push(await open(neighbour, otherAddress));
    const held = (await flooding).filter((each) => each !== null);
    assert(
      undisturbed.every((each) => each !== null),
      'every connection of the neighbour succeeded',
    );
    // Two data threads that look at the same moment may both let one in.
    assert(held.length >= podMax - 1 && held.length <= podMax + 1, `${held.length} of ${flood} were let in`);
    const refused = await lab.accessRecord(node1, 'a refusal', (record) => record.flag === 'OVERLOAD');
    assert.match(refused.error ?? '', /limit connectionsPerPodMax of 60 reached by pod app\/flood as source/);
    const metrics = await metricsOf(node1);
    assert(Number(/ambient_limit_rejections_total\{limit="connectionsPerPodMax"\} (\d+)/.exec(metrics)?.[1]) > 80);
    assert.match(metrics, /ambient_limit\{limit="connectionsPerPodMax"\} 60/);
    assert(Number(/ambient_limit_use\{limit="connectionsPerPodMax"\} (\d+)/.exec(metrics)?.[1]) >= podMax - 1);
    await Promise.all([...held, ...undisturbed].map((each) => each?.reset()));
    await untilHolds('connections to end', async () => (await lab.dump(node1)).connections.length === 0);
    for (const [at, node] of [node1, node2].entries()) {
      // Sessions that were opened for the flood stay for later use.
      await untilHolds(`descriptors of ${node}`, () => descriptors(node) <= descriptorsBefore[at]! + 10);
    }
    const again = await open(flooder, address);
    assert(again !== null, 'the pod that flooded is let in again');
    await again.reset();
  });

  test('a pod that never reads stops its own senders, and nobody else', { timeout: 90_000 }, async () => {
    const address = await lab.addressOf('server');
    const otherAddress = await lab.addressOf('other');
    await server.listen(bulkPort);
    const senders: { done: boolean; readonly ended: Promise<void> }[] = [];
    const unread = await Promise.all(
      Array.from({ length: stalled }, async () => {
        const near = await flooder.connect(address, bulkPort, { paused: true });
        const far = await server.accepted(bulkPort, 30_000);
        const sender = { done: false, ended: Promise.resolve() };
        sender.ended = far.writePattern(unreadBytes, 1).then(
          () => {
            sender.done = true;
          },
          () => {},
        );
        senders.push(sender);
        return near;
      }),
    );
    for (let count = 0; count < stalled; count++) {
      const near = await open(neighbour, otherAddress);
      assert(near !== null, 'the neighbour gets every connection');
      await near.reset();
    }
    assert.equal(senders.filter(({ done }) => done).length, 0, 'every sender is held back');
    await Promise.all(unread.map((each) => each.reset()));
    await Promise.all(senders.map(({ ended }) => ended));
    await untilHolds('connections to end', async () => (await lab.dump(node1)).connections.length === 0);
  });

  test('limits change in a running proxy; a bad file changes nothing and is named', { timeout: 60_000 }, async () => {
    const address = await lab.addressOf('server');
    const file = `/proc/${lab.client.lab.hostPid}/root/run/ambient/system/nodes/${node1}/config.yaml`;
    const before = readFileSync(file, 'utf8');
    const config = JSON.parse(before) as { limits: object };
    const running = await open(neighbour, address);
    assert(running !== null);
    writeFileSync(
      file,
      JSON.stringify({ ...config, limits: { connectionsPerPodMax: 1 }, sameNode: 'tunnel' }, null, 2),
    );
    await untilHolds('the new limit', async () => {
      const { connectionsPerPodMax } = (await lab.dump(node1)).config.limits as Record<string, number>;
      return connectionsPerPodMax === 1;
    });
    assert.deepEqual((await lab.dump(node1)).configFile?.needsRestart, ['sameNode']);
    await untilHolds('both data threads to follow', async () => {
      const extra = await open(neighbour, address);
      await extra?.reset();
      return extra === null;
    });
    assert.equal((await running.state()).closed, false, 'what runs is not touched');
    writeFileSync(file, `{\n  "nodeName": "node-1",\n  "limits": {"connectionsPerPodMax": -1}\n}\n`);
    await untilHolds('the error in the dump', async () => (await lab.dump(node1)).configFile?.error !== null);
    assert.match((await lab.dump(node1)).configFile?.error ?? '', /config\.yaml:3:38: .*whole number/);
    assert.equal((await open(neighbour, address)) === null, true, 'the last good limits stay');
    writeFileSync(file, before);
    await untilHolds('the old limit', async () => {
      const back = await open(neighbour, address);
      await back?.reset();
      return back !== null;
    });
    await running.reset();
  });

  async function metricsOf(node: string): Promise<string> {
    const script = "process.stdout.write(await (await fetch('http://127.0.0.1:15020/metrics')).text())";
    const target = await lab.client.target('node', '', node);
    const { command, args } = enterCommand(target, [process.execPath, '--input-type=module', '-e', script]);
    return (await run(command, args, { maxBuffer: 1 << 24 })).stdout;
  }
});
