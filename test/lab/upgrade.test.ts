// Proxies that are replaced, pods that end, addresses that get new owners, a main thread that is busy: nothing that
// runs is cut before its time, and nothing of before is taken for what is now.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { enterCommand } from '../../src/lab/enter.ts';
import { countOf, type LoadEvent, PodLoad } from '../chaos/load.ts';
import type { PodAgent } from './agent.ts';
import {
  authorizationPolicy,
  document,
  namespace,
  node1,
  node2,
  pod,
  service,
  startLab,
  type TestLab,
} from './harness.ts';

const port = 8080;
const loadPort = 7000;
const drainMs = 4_000;
const timeout = 60_000;
/** A range with one address: whatever pod comes next gets the address of the one before. */
const smallRange = '10.244.99.0/30';

const nodes = [
  { name: node1, podCIDRs: ['10.244.1.0/24'] },
  { name: node2, podCIDRs: ['10.244.2.0/24'] },
  { name: 'node-3', podCIDRs: [smallRange] },
].map(({ name, podCIDRs }) => document({ apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { podCIDRs } }));

/** A pod that takes two seconds to end, as one that finishes what it has. */
const leaving = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'leaving', namespace: 'app' } },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'leaving', namespace: 'app', labels: { app: 'leaving' } },
    spec: {
      serviceAccountName: 'leaving',
      nodeName: node2,
      terminationGracePeriodSeconds: 20,
      containers: [
        { name: 'main', image: 'none', command: ['sh', '-c', "trap 'sleep 2; exit' TERM; sleep 999 & wait"] },
      ],
    },
  },
]
  .map(document)
  .join('');

const manifests =
  nodes.join('') +
  namespace('app') +
  pod('east', { node: node1 }) +
  pod('west', { node: node2 }) +
  leaving +
  service('east', 80, loadPort, { app: 'east' }) +
  service('west', 80, loadPort, { app: 'west' }) +
  service('leaving', 80, port, { app: 'leaving' });

describe('upgrades and drains', () => {
  let lab: TestLab;
  let east: PodAgent;
  let west: PodAgent;
  const loads: PodLoad[] = [];
  const events: LoadEvent[] = [];

  before(async () => {
    lab = await startLab(manifests, { nodeConfig: { timeouts: { drainMs }, threads: 2 } });
    [east, west] = await Promise.all([lab.agent('east'), lab.agent('west')]);
    await Promise.all([east.listen(port), west.listen(port)]);
    for (const name of ['east', 'west']) {
      const load = await PodLoad.start(name, await lab.client.target('pod', 'app', name), (event) =>
        events.push(event),
      );
      await load.serve(loadPort);
      loads.push(load);
    }
  });
  after(async () => {
    await Promise.all(loads.map((load) => load.close()));
    await lab?.close();
  });

  async function inNode(name: string, argv: string[]): Promise<string> {
    const { command, args } = enterCommand(await lab.client.target('node', '', name), argv);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => child.on('close', resolve));
    return Buffer.concat(chunks).toString().trim();
  }

  test('rolling restarts under load, both directions: no stream fails', { timeout }, async () => {
    assert.equal(await inNode(node1, ['cat', '/proc/sys/net/ipv4/tcp_migrate_req']), '1');
    const many = { port: 80, up: 2_000, down: 5_000, pauseMs: 0 };
    for (const [load, host] of [[loads[0]!, 'west'] as const, [loads[1]!, 'east'] as const]) {
      await load.run({ ...many, kind: 'short', host, parallel: 8 });
      await load.run({ ...many, kind: 'half', host, parallel: 2 });
      await load.run({ ...many, kind: 'long', host, parallel: 8, up: 5_120, down: 5_120, roundMs: 50 });
    }
    for (const name of [node1, node2]) {
      const { replaced } = await lab.client.restart({ kind: 'node', name }, { rolling: true });
      assert.deepEqual([replaced?.exitCode, replaced?.left], [0, 0], `the old proxy of ${name} drained`);
    }
    await Promise.all(loads.map((load) => load.stop()));
    const reports = await Promise.all(loads.map((load) => load.quiet(20_000)));
    const words = JSON.stringify(reports.map(({ tally }) => tally));
    for (const outcome of ['error', 'early', 'wrong']) assert.equal(countOf(reports, ` ${outcome}`), 0, words);
    assert(countOf(reports, 'client short fine') > 100 && countOf(reports, 'client long fine') > 16, words);
    assert.deepEqual(events, []);
  });

  test('what runs at the deadline of a drain goes on until then, and is reset and counted', { timeout }, async () => {
    const near = await east.connect(await lab.addressOf('west'), port);
    await near.write('before;');
    const far = await west.accepted(port);
    await far.untilRead('before;');
    const old = (await lab.dump(node1)).pid;
    const restarted = lab.client.restart({ kind: 'node', name: node1 }, { rolling: true });
    while ((await lab.dump(node1)).pid === old) await new Promise((resolve) => setTimeout(resolve, 20));
    await near.write('meanwhile;');
    await far.untilRead('meanwhile;');
    const { replaced } = await restarted;
    assert.deepEqual(replaced, { pid: old, exitCode: 0, left: 1 });
    const ends = await Promise.all([near.untilClosed(), far.untilClosed()]);
    assert.deepEqual(
      ends.map(({ error }) => error),
      ['ECONNRESET', 'ECONNRESET'],
    );
  });

  test('a pod that ends gets no new connection and finishes what it has; sessions to it end', { timeout }, async () => {
    const agent = await lab.agent('leaving');
    await agent.listen(port);
    const near = await east.connect('leaving', 80);
    await near.write('before;');
    const far = await agent.accepted(port);
    await far.untilRead('before;');
    const deleted = lab.delete(leaving);
    let refused: string | null = null;
    while (refused === null) refused = await reset(await east.connect('leaving', 80).catch(() => null));
    await near.write('after;');
    await near.end();
    await far.untilRead('after;');
    await far.write('goodbye;');
    await far.end();
    const end = await near.untilClosed();
    assert.deepEqual([end.text, end.error], ['goodbye;', null]);
    await deleted;
    // Its identity has no other pod: the session that was for it alone is closed on both sides, certificates go.
    const identity = 'spiffe://cluster.local/ns/app/sa/leaving';
    const { certificates } = await lab.dump(node2);
    assert(!certificates.some((each) => each.identity === identity), 'the certificate is forgotten');
  });

  /** Null when the connection was served; else how it was refused. */
  async function reset(connection: Awaited<ReturnType<PodAgent['connect']>> | null): Promise<string | null> {
    if (connection === null) return 'refused';
    const outcome = await connection.until('refused', (state) => state.closed, 300).catch(() => null);
    if (outcome === null) await connection.reset();
    return outcome?.error ?? null;
  }

  test('an address with a new owner: no session, certificate or policy of the old one', { timeout }, async () => {
    const owner = (name: string) => pod(name, { node: 'node-3' });
    const deny = authorizationPolicy({
      name: 'not-second',
      spec: {
        selector: { matchLabels: { app: 'second' } },
        action: 'DENY',
        rules: [{ from: [{ source: { principals: ['cluster.local/ns/app/sa/east'] } }] }],
      },
    });
    await lab.apply(deny);
    const seen: string[] = [];
    for (const name of ['first', 'second', 'third']) {
      await lab.apply(owner(name));
      const host = await lab.addressOf(name);
      seen.push(host);
      const agent = await lab.agent(name);
      await agent.listen(port);
      if (name === 'second') {
        // Refused so soon that the caller may hear of it before it hears that it is connected.
        await east.connect(host, port).then(
          (near) => near.untilClosed(),
          () => null,
        );
      } else {
        const near = await east.connect(host, port);
        await near.write('hello;');
        await (await agent.accepted(port)).untilRead('hello;');
        await near.reset();
        const back = await agent.connect(await lab.addressOf('west'), port);
        await back.write(`by ${name};`);
        const from = await west.accepted(port);
        await from.untilRead(`by ${name};`);
        await back.reset();
      }
      const record = await lab.accessRecord('node-3', `the call of ${name}`, (each) => {
        return each.direction === 'inbound' && each.destination.workload === name;
      });
      assert.equal(record.destination.identity, `spiffe://cluster.local/ns/app/sa/${name}`);
      assert.equal(record.flag === 'DENY', name === 'second', JSON.stringify(record));
      await agent.close();
      await lab.delete(owner(name));
    }
    assert.equal(new Set(seen).size, 1, `one address for all: ${seen.join(', ')}`);
    const callers = (await lab.accessLog(node2)).filter(
      ({ direction, source }) => direction === 'inbound' && source.address.startsWith(seen[0]!),
    );
    assert.deepEqual(
      callers.map(({ source }) => source.identity?.split('/').at(-1)),
      ['first', 'third'],
    );
  });

  test('a busy main thread: data threads serve on', { timeout }, async () => {
    const load = loads[0]!;
    const before = countOf([await load.report()], 'client short fine');
    await lab.client.admin('node', node1, '/debug/block-main?ms=4000', { method: 'POST' });
    let answered = false;
    const dump = lab.dump(node1).then(() => {
      answered = true;
    });
    const order = { kind: 'short', host: 'west', port: 80, up: 2_000, down: 5_000, pauseMs: 0 } as const;
    await load.run({ ...order, parallel: 4, repeat: 80 });
    const report = await load.quiet(20_000);
    assert.equal(answered, false, 'the main thread was busy all the time');
    assert.equal(countOf([report], 'client short fine') - before, 80);
    await dump;
  });
});
