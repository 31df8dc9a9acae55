// Capture inside of pods: the same mesh where the hooks of the node see nothing of what pods send and are sent.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { enterCommand } from '../../src/lab/enter.ts';
import type { PodCaptureView } from '../../src/model/views.ts';
import { countOf, type LoadEvent, PodLoad } from '../chaos/load.ts';
import type { PodAgent } from './agent.ts';
import {
  authorizationPolicy,
  namespace,
  node1,
  node2,
  peerAuthentication,
  pod,
  service,
  startLab,
  type TestLab,
  twoNodes,
} from './harness.ts';

const port = 8080;
const loadPort = 7000;
const timeout = 60_000;
const manifests =
  twoNodes +
  namespace('app') +
  namespace('outside', false) +
  pod('client', { node: node1 }) +
  pod('near', { node: node1 }) +
  pod('far', { node: node2 }) +
  pod('plain', { node: node1, namespace: 'outside' }) +
  pod('plain-far', { node: node2, namespace: 'outside' }) +
  service('near', 80, port, { app: 'near' }) +
  service('far', 80, port, { app: 'far' });
/** Before every hook of capture and of the service proxy: TCP of pods is to be as if the node had no such hooks. */
const blindNode = `table inet blind {
  chain arrives { type filter hook prerouting priority raw; ip daddr 10.244.0.0/16 meta l4proto tcp notrack; }
  chain leaves { type filter hook prerouting priority raw; iifname "v*" meta l4proto tcp notrack; }
}`;
const optedOut = { 'ambient.mesh/dataplane-mode': 'none' };

describe('capture inside of pods', () => {
  let lab: TestLab;
  const agents = new Map<string, PodAgent>();
  const agent = (name: string): PodAgent => agents.get(name)!;

  before(async () => {
    const nodeConfig = { capture: { backend: 'pod' }, threads: 2, timeouts: { drainMs: 4_000 } };
    lab = await startLab(manifests, { nodeConfig });
    await Promise.all([node1, node2].map((node) => inNode(node, ['nft', '-f', '-'], blindNode)));
    for (const name of ['client', 'near', 'far', 'plain', 'plain-far']) {
      agents.set(name, await lab.agent(name, name.startsWith('plain') ? 'outside' : 'app'));
      if (name !== 'client') await agent(name).listen(port, { greeting: `${name};` });
    }
  });
  after(() => lab?.close());

  /** What a command prints in a node's own network; rejects when it fails. */
  async function inNode(name: string, argv: string[], input = ''): Promise<string> {
    const { command, args } = enterCommand(await lab.client.target('node', '', name), argv);
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    // It may end without having read; how it ended tells.
    child.stdin.on('error', () => {}).end(input);
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 0, argv.join(' '));
    return Buffer.concat(chunks).toString();
  }

  async function captureOf(name: string, ns = 'app', node = node1): Promise<PodCaptureView> {
    const address = await lab.addressOf(name, ns);
    const { capture } = await lab.dump(node);
    const found = capture.pods.find(({ addresses }) => addresses.includes(address));
    assert(found !== undefined, `${name} is not among ${JSON.stringify(capture)}`);
    return found;
  }

  async function untilCapture(name: string, state: PodCaptureView['state']): Promise<PodCaptureView> {
    for (const endMs = performance.now() + 20_000; ; ) {
      const view = await captureOf(name);
      if (view.state === state) return view;
      assert(performance.now() < endMs, `${name} becomes ${state}: ${JSON.stringify(view)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The greeting that a connection gets, or how it failed. */
  async function call(from: string, host: string, at = port): Promise<string> {
    const connection = await agent(from)
      .connect(host, at)
      .catch((error: Error) => error);
    if (connection instanceof Error) return connection.message;
    const { text, error } = await connection.until('answered', (state) => state.closed || state.text !== '');
    await connection.reset();
    return text === '' ? String(error) : text;
  }

  async function untilCall(from: string, host: string, at: number, expected: RegExp): Promise<void> {
    for (const endMs = performance.now() + 45_000; ; ) {
      const outcome = await call(from, host, at);
      if (expected.test(outcome)) return;
      assert(performance.now() < endMs, `${from} calls ${host}: ${outcome}, expected ${expected}`);
    }
  }

  const record = (node: string, from: string, to: string, direction = 'outbound') =>
    lab.accessRecord(node, `${from} to ${to}`, (each) => {
      return each.direction === direction && each.source.workload === from && each.destination.workload === to;
    });

  test('nothing of the node captures; every pod is redirected or outside', async () => {
    for (const node of [node1, node2]) {
      assert.doesNotMatch(await inNode(node, ['nft', 'list', 'table', 'inet', 'ambient']), /tproxy|hook prerouting/);
      const { capture } = await lab.dump(node);
      assert.equal(capture.backend, 'pod');
      assert(
        capture.pods.every(({ state }) => state === 'redirected' || state === 'outside'),
        JSON.stringify(capture),
      );
    }
    assert.equal((await captureOf('client')).state, 'redirected');
    assert.equal((await captureOf('plain', 'outside')).state, 'outside');
  });

  test('across nodes by mTLS, on one node by both identities, with the addresses of clients', { timeout }, async () => {
    const address = await lab.addressOf('client');
    for (const [name, node, transport] of [
      ['far', node2, 'mtls'],
      ['near', node1, 'same-node'],
    ] as const) {
      assert.equal(await call('client', name, 80), `${name};`);
      const accepted = await agent(name).accepted(port);
      assert.equal(accepted.peer.replace(/^::ffff:/, '').replace(/:\d+$/, ''), address);
      const {
        source,
        destination,
        transport: seen,
      } = await record(node, 'client', name, transport === 'mtls' ? 'inbound' : 'outbound');
      assert.deepEqual(
        [seen, source.identity, destination.identity],
        [transport, 'spiffe://cluster.local/ns/app/sa/client', `spiffe://cluster.local/ns/app/sa/${name}`],
      );
    }
    const six = (await lab.client.status()).pods
      .find((each) => each.name === 'far')!
      .addresses.find((each) => each.includes(':'));
    if (six !== undefined) assert.equal(await call('client', six), 'far;');
  });

  test('outside of the mesh, both ways', { timeout }, async () => {
    assert.equal(await call('client', await lab.addressOf('plain-far', 'outside')), 'plain-far;');
    const accepted = await agent('plain-far').accepted(port);
    assert(accepted.peer.includes(await lab.addressOf('client')), 'it leaves from the address of the pod');
    assert.equal((await record(node1, 'client', 'plain-far')).transport, 'plaintext');
    for (const name of ['near', 'far']) assert.equal(await call('plain', await lab.addressOf(name)), `${name};`);
    assert.equal((await record(node2, 'plain', 'far', 'inbound')).source.identity, null);
    assert.equal(await call('plain', await lab.addressOf('plain-far', 'outside')), 'plain-far;');
  });

  test('policy denies, STRICT refuses plaintext, and the node still probes', { timeout }, async () => {
    const deny = authorizationPolicy({
      name: 'not-client',
      spec: {
        selector: { matchLabels: { app: 'far' } },
        action: 'DENY',
        rules: [{ from: [{ source: { principals: ['cluster.local/ns/app/sa/client'] } }] }],
      },
    });
    const strict = peerAuthentication({ name: 'strict', spec: { mtls: { mode: 'STRICT' } } });
    await lab.apply(deny + strict);
    assert.match(await call('client', 'far', 80), /ECONNRESET/);
    assert.equal(
      (await lab.accessRecord(node2, 'the denial', ({ flag }) => flag === 'DENY')).decidedBy,
      'app/not-client',
    );
    for (const name of ['near', 'far']) assert.match(await call('plain', await lab.addressOf(name)), /ECONNRESET/);
    const probe = await lab.nodeAgent(node2);
    const probed = await probe.connect(await lab.addressOf('far'), port);
    await probed.untilRead('far;');
    await probed.reset();
    await lab.delete(deny + strict);
    assert.equal(await call('client', 'far', 80), 'far;');
  });

  test('a new pod, one that leaves the mesh by a label, and one that cannot be redirected', { timeout }, async () => {
    const late = (labels = {}) => pod('late', { node: node1, labels });
    await lab.apply(late());
    agents.set('late', await lab.agent('late'));
    await agent('late').listen(port, { greeting: 'late;' });
    const { tookMs, namespace: file } = await untilCapture('late', 'redirected');
    assert(tookMs !== null && tookMs < 10_000, `redirected after ${tookMs} ms`);
    assert.equal(await call('late', 'far', 80), 'far;');
    assert.equal((await record(node1, 'late', 'far')).transport, 'mtls');
    const running = await agent('late').connect('far', 80);
    await running.untilRead('far;');
    await lab.apply(late(optedOut));
    await untilCapture('late', 'outside');
    assert.equal((await running.untilClosed()).error, 'ECONNRESET', 'what was captured is cut');
    assert.equal((await inNode(node1, ['nsenter', `--net=${file}`, 'nft', 'list', 'ruleset'])).trim(), '');
    assert.doesNotMatch(await inNode(node1, ['nsenter', `--net=${file}`, 'ip', 'rule']), /fwmark/);
    await agent('late').listen(15_008);
    await lab.apply(late());
    assert.match((await untilCapture('late', 'failed')).reason ?? '', /port 15008 is taken in the pod/);
    assert.match(await call('late', 'far', 80), /ECONNRE/, 'it is cut off');
    assert.equal(await call('client', 'far', 80), 'far;', 'others are not');
    await agent('late').close();
    await lab.delete(late());
  });

  test('nobody gets the address of another: neither a namespace nor a caller', { timeout }, async () => {
    const address = await lab.addressOf('client');
    const setUp = [
      'set -e; ip netns add rogue; ip -n rogue link add eth0 type veth peer name other',
      `ip -n rogue link set other up; ip -n rogue link set eth0 up; ip -n rogue addr add ${address}/32 dev eth0`,
    ];
    await inNode(node1, ['sh', '-c', setUp.join('; ')]);
    for (const endMs = performance.now() + 20_000; ; ) {
      const rogue = (await lab.dump(node1)).capture.pods.find((each) => each.namespace.endsWith('/rogue'));
      if (/has an address of this namespace too/.test(rogue?.reason ?? '')) break;
      assert(performance.now() < endMs, `the rogue is refused: ${JSON.stringify(rogue)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(await call('client', 'far', 80), 'far;');
    await inNode(node1, ['ip', 'netns', 'del', 'rogue']);
    const { namespace: file } = await captureOf('near');
    const caller = `require('net').connect({ host: process.argv[1], port: ${port}, localAddress: '${address}' })
      .on('error', (error) => console.log(error.code)).on('data', (data) => console.log(String(data)))`;
    const enter = ['nsenter', `--net=${file}`];
    await inNode(node1, [...enter, 'ip', 'addr', 'add', `${address}/32`, 'dev', 'lo']);
    const outcome = await inNode(node1, [...enter, process.execPath, '-e', caller, await lab.addressOf('far')]);
    await inNode(node1, [...enter, 'ip', 'addr', 'del', `${address}/32`, 'dev', 'lo']);
    assert.match(outcome, /ECONNRESET/);
    await lab.accessRecord(node1, 'the lie', ({ flag }) => flag === 'UNKNOWN_SOURCE');
  });

  test('rolling restarts under load lose nothing', { timeout }, async () => {
    const events: LoadEvent[] = [];
    const since = new Date().toISOString();
    const loads = await Promise.all(
      ['client', 'far'].map(async (name) => {
        return await PodLoad.start(name, await lab.client.target('pod', 'app', name), (event) => events.push(event));
      }),
    );
    try {
      await loads[1]!.serve(loadPort);
      // By its address: which endpoints a service has is not what this is about.
      const order = { host: await lab.addressOf('far'), port: loadPort, up: 2_000, down: 5_000, pauseMs: 0 };
      await loads[0]!.run({ ...order, kind: 'short', parallel: 6 });
      await loads[0]!.run({ ...order, kind: 'long', parallel: 4, up: 5_120, down: 5_120, roundMs: 50 });
      for (const name of [node1, node2]) {
        const { replaced } = await lab.client.restart({ kind: 'node', name }, { rolling: true });
        assert.deepEqual([replaced?.exitCode, replaced?.left], [0, 0], `the old proxy of ${name} drained`);
      }
      await loads[0]!.stop();
      const reports = [await loads[0]!.quiet(20_000)];
      const flagged = [...(await lab.accessLog(node1)), ...(await lab.accessLog(node2))].filter(
        ({ flag, time }) => flag !== '-' && time > since,
      );
      const why = flagged.map(({ direction, flag, error, time }) => `${time} ${direction} ${flag} ${error}`);
      const words = JSON.stringify([reports.map(({ tally }) => tally), why.slice(0, 20)], null, 1);
      for (const outcome of ['error', 'early', 'wrong']) assert.equal(countOf(reports, ` ${outcome}`), 0, words);
      assert(countOf(reports, 'client short fine') > 20 && countOf(reports, 'client long fine') > 4, words);
      assert.deepEqual(events, []);
    } finally {
      await Promise.all(loads.map((load) => load.close()));
    }
  });

  test('a data thread that dies is replaced, and a stopped proxy leaves pods closed', {
    timeout: 2 * timeout,
  }, async () => {
    await lab.client.admin('node', node1, '/debug/kill-thread?id=0', { method: 'POST' });
    while (
      (await lab.dump(node1)).threads.some(({ state, restarts, id }) => state !== 'serving' || restarts !== 1 - id)
    ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (let i = 0; i < 8; i++) assert.equal(await call('client', 'far', 80), 'far;');
    // Its supervisor is stopped with it, so that no other takes its place.
    const [plainFar, near] = [await lab.addressOf('plain-far', 'outside'), await lab.addressOf('near')];
    const supervisor = lab.client.lab.hostPid;
    process.kill(supervisor, 'SIGSTOP');
    try {
      process.kill(lab.proxyPid(node1), 'SIGKILL');
      await untilCall('client', plainFar, port, /ECONNRESET|ECONNREFUSED/);
      await untilCall('plain', near, port, /ECONNRESET|ECONNREFUSED/);
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
    await untilCall('client', plainFar, port, /plain-far;/);
  });

  test('uninstall takes the rules out of the pods of its node', { timeout }, async () => {
    const { argv } = lab
      .processes()
      .find((each) => each.argv.includes('ambient-node') && each.argv.includes(`/${node2}`))!;
    const words = argv.split(' ');
    const at = words.findIndex((word) => word.endsWith('ambient-node.ts'));
    const config = words[words.indexOf('--config') + 1]!;
    const file = (await captureOf('far', 'app', node2)).namespace;
    const rulesOf = ['nsenter', `--net=${file}`, 'nft', 'list', 'ruleset'];
    process.kill(lab.proxyPid(node2), 'SIGSTOP');
    assert.match(await inNode(node2, rulesOf), /tproxy/);
    await inNode(node2, [process.execPath, words[at]!, 'uninstall', '--config', config]);
    assert.equal((await inNode(node2, rulesOf)).trim(), '');
    assert.doesNotMatch(await inNode(node2, ['nft', 'list', 'tables']), /ambient$/m);
    process.kill(lab.proxyPid(node2), 'SIGCONT');
  });
});
