// Pods that hang on a bridge, on a link with the gateway's address, and on routed links, in one mesh: the node proxies
// find them without being told, and what holds on routed links holds on all of them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { enterCommand } from '../../src/lab/enter.ts';
import type { StatusView } from '../../src/model/views.ts';
import type { PodAgent, PodConnection } from './agent.ts';
import {
  authorizationPolicy,
  document,
  namespace,
  peerAuthentication,
  pod,
  service,
  startLab,
  type TestLab,
} from './harness.ts';
import { LinkCapture } from './link-capture.ts';

const timeout = 90_000;
const port = 8080;
/** One address for pods, so that the next pod has it again at once. */
const narrow = '10.244.3.0/30';
const nodes = [
  ['bridge', {}],
  ['routed', {}],
  ['ptp', { spec: { podCIDRs: [narrow] } }],
  ['flat', {}],
] as const;
const node = (kind: string, spec: object) => {
  const annotations = { 'lab.ambient.mesh/pod-network': kind === 'flat' ? 'bridge' : kind };
  return document({ apiVersion: 'v1', kind: 'Node', metadata: { name: kind, annotations }, ...spec });
};
const probe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 };
const manifests =
  nodes.map(([kind, spec]) => node(kind, spec)).join('') +
  namespace('app') +
  namespace('outside', false) +
  pod('one', { node: 'bridge' }) +
  pod('two', { node: 'bridge', labels: { tier: 'pair' } }) +
  pod('far', { node: 'routed' }) +
  pod('flat', { node: 'flat', labels: { tier: 'pair' } }) +
  pod('plain', { node: 'bridge', namespace: 'outside' }) +
  pod('stranger', { node: 'routed', namespace: 'outside' }) +
  pod('web', { node: 'bridge', image: 'ambient/echo', readinessProbe: probe }) +
  service('two', 80, port, { app: 'two' }) +
  service('pair', 80, port, { tier: 'pair' });

type Name = 'one' | 'two' | 'far' | 'flat' | 'plain' | 'stranger';

describe('networks of pods', () => {
  let lab: TestLab;
  const agents = {} as Record<Name, PodAgent>;
  const addresses = {} as Record<Name, { 4: string; 6: string }>;

  before(async () => {
    lab = await startLab(manifests);
    for (const name of ['one', 'two', 'far', 'flat', 'plain', 'stranger'] as const) {
      const ns = name === 'plain' || name === 'stranger' ? 'outside' : 'app';
      agents[name] = await lab.agent(name, ns);
      addresses[name] = { 4: await lab.addressOf(name, ns), 6: await lab.addressOf(name, ns, 6) };
      await agents[name].listen(port);
    }
  });
  after(() => lab?.close());

  /** Runs a command in the namespaces of a pod or a node; what it printed. */
  async function within(kind: 'pod' | 'node', ns: string, name: string, argv: readonly string[]): Promise<string> {
    const target = await lab.client.target(kind, ns, name);
    const { command, args } = enterCommand(target, argv);
    const child = spawn(command, args, { env: target.env, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => child.on('close', resolve));
    return Buffer.concat(chunks).toString().trim();
  }

  /** What the destination reads when `from` says `word`; null when the connection is cut or refused instead. */
  async function say(from: PodAgent, host: string, to: PodAgent, word: string, called = port): Promise<string | null> {
    let near: PodConnection;
    try {
      near = await from.connect(host, called);
    } catch {
      return null;
    }
    await near.write(word).catch(() => {});
    const decided = new AbortController();
    const far = to.accepted(port, 20_000, decided.signal).then(
      (one) => one,
      () => null,
    );
    const cut = near.untilClosed(20_000).then(
      () => null,
      () => null,
    );
    const first = await Promise.race([far, cut]);
    decided.abort();
    if (first === null) return null;
    await first.untilRead(word);
    await near.reset();
    await first.untilClosed();
    return word;
  }

  test('every proxy has found by itself where its pods are', { timeout }, async () => {
    const seen = await Promise.all(nodes.map(async ([kind]) => (await lab.dump(kind)).network));
    assert.deepEqual(
      seen.map(({ source, bridges, reason }) => [source, bridges, reason]),
      [
        ['found', ['cni0'], null],
        ['found', [], null],
        ['found', [], null],
        ['found', ['cni0'], null],
      ],
    );
    assert(seen[0]!.podCidrs.includes('10.244.1.0/24'));
    // The lab has rules of its own in kube-proxy's place, and the controller is told what each node says of itself.
    const told = async () => {
      const { proxies } = (await lab.client.admin('controller', '', '/status')) as StatusView;
      return proxies.map(({ findings = [] }) => findings.map(({ id }) => id).join());
    };
    while ((await told()).some((ids) => ids !== 'kube-proxy-missing'))
      await new Promise((resolve) => setTimeout(resolve, 100));
    for (const { meshCidrs } of seen) assert(meshCidrs.includes('10.244.2.0/24'), 'and where those of others are');
  });

  const rows: readonly (readonly [from: Name, to: Name, transport: 'mtls' | 'same-node' | 'plaintext'])[] = [
    ['one', 'two', 'same-node'],
    ['one', 'far', 'mtls'],
    ['far', 'one', 'mtls'],
    ['flat', 'one', 'mtls'],
    ['one', 'flat', 'mtls'],
    ['one', 'plain', 'plaintext'],
    ['plain', 'one', 'plaintext'],
    ['one', 'stranger', 'plaintext'],
    ['stranger', 'one', 'plaintext'],
  ];
  const families = [4, 6] as const;
  for (const [from, to, transport] of rows) {
    test(`${from} to ${to}: ${transport}`, { timeout }, async () => {
      const marker = `marker-${from}-${to}-${'x'.repeat(40)}`;
      const capture = await LinkCapture.start(lab);
      for (const family of families) {
        assert.equal(await say(agents[from], addresses[to][family], agents[to], marker), marker, `IPv${family}`);
      }
      const { text } = await capture.stop();
      if (transport !== 'plaintext') assert(!text.includes(marker), 'nothing of it crossed the fabric in the clear');
      const where = nodeOf(from === 'plain' || from === 'stranger' ? to : from);
      const record = await lab.accessRecord(where, `${from} to ${to}`, (one) => {
        return one.source.address.startsWith(`${addresses[from][4]}:`) && one.destination.workload === to;
      });
      assert.equal(record.transport, transport);
    });
  }

  test('a service of a pod on the bridge, called by its neighbour', { timeout }, async () => {
    const [vip] = await lab.client.get('Service', 'two', 'app');
    const { clusterIP } = (vip as { spec: { clusterIP: string } }).spec;
    const near = await agents.one.connect(clusterIP, 80);
    await near.write('by service');
    await (await agents.two.accepted(port)).untilRead('by service');
    await near.reset();
  });

  test('STRICT and ALLOW hold on a bridge: by the neighbour outside, and by the wrong identity', {
    timeout,
  }, async () => {
    const strict = peerAuthentication({ name: 'default', spec: { mtls: { mode: 'STRICT' } } });
    const selector = { matchLabels: { app: 'two' } };
    const only = authorizationPolicy({
      name: 'only-one',
      spec: { selector, rules: [{ from: [{ source: { principals: ['cluster.local/ns/app/sa/one'] } }] }] },
    });
    await lab.apply(strict + only);
    for (const family of families) {
      const told = [];
      for (const from of ['one', 'far', 'flat', 'plain', 'stranger'] as const) {
        told.push(await say(agents[from], addresses.two[family], agents.two, `hello ${from}`));
      }
      assert.deepEqual(told, ['hello one', null, null, null, null], `IPv${family}`);
    }
    // The kubelet's probes are no business of policy.
    const { pods } = await lab.client.status();
    assert.equal(pods.find(({ name }) => name === 'web')?.ready, true);
    await lab.delete(strict + only);
  });

  test('UDP between neighbours, and names', { timeout }, async () => {
    const listen = "$s=IO::Socket::INET->new(Proto=>'udp',LocalPort=>9,ReuseAddr=>1);$s->recv($x,9);$s->send($x)";
    const ask =
      "$s=IO::Socket::INET->new(Proto=>'udp',PeerAddr=>$ARGV[0],PeerPort=>9);alarm 20;" +
      'for(1..50){$s->send("ping");$r="";vec($r,fileno($s),1)=1;if(select($r,undef,undef,.2)){$s->recv($x,9)&&last}}print $x';
    const perl = (script: string, ...args: string[]) => ['perl', '-MIO::Socket::INET', '-e', script, ...args];
    const far = within('pod', 'app', 'two', perl(`alarm 30;${listen}`));
    assert.equal(await within('pod', 'app', 'one', perl(ask, addresses.two[4])), 'ping');
    await far;
    const names = await within('pod', 'app', 'one', ['getent', 'ahostsv4', 'two.app.svc.cluster.local']);
    assert.match(names, /^10\.96\./);
  });

  test('a new pod on the bridge has no moment in the clear', { timeout }, async () => {
    const capture = await LinkCapture.start(lab);
    const ask =
      "for(1..9){if($s=IO::Socket::INET->new(PeerAddr=>$ARGV[0],PeerPort=>$ARGV[1])){print $s 'new-pod-secret';" +
      '$s->flush;sleep 30;exit}select(undef,undef,undef,.2)}';
    const command = ['perl', '-MIO::Socket::INET', '-e', ask, addresses.far[4], String(port)];
    const eager = pod('eager', { node: 'bridge', command });
    await lab.apply(eager);
    const far = await agents.far.accepted(port, 30_000);
    await far.untilRead('new-pod-secret');
    const { text } = await capture.stop();
    assert(!text.includes('new-pod-secret'));
    await lab.delete(eager);
  });

  test('who gets the address of a pod at once gets nothing else of it', { timeout: 120_000 }, async () => {
    const principals = (name: string) => [{ from: [{ source: { principals: [`cluster.local/ns/app/sa/${name}`] } }] }];
    const selector = { matchLabels: { app: 'far' } };
    const denied = authorizationPolicy({
      name: 'judge',
      spec: { selector, action: 'DENY', rules: principals('former') },
    });
    const alone = authorizationPolicy({
      name: 'judge',
      spec: { selector, action: 'ALLOW', rules: principals('former') },
    });
    const [former, heir] = ['former', 'heir'].map((name) => pod(name, { node: 'ptp' })) as [string, string];
    await lab.apply(former);
    const first = await lab.agent('former');
    const address = await lab.addressOf('former');
    await first.listen(port);
    assert.equal(await say(first, addresses.far[4], agents.far, 'from the former'), 'from the former');
    assert.equal(await say(agents.one, address, first, 'to the former'), 'to the former');
    await lab.apply(denied);
    assert.equal(await say(first, addresses.far[4], agents.far, 'denied'), null);
    // There is one address: the next pod waits for it, and has it when the former has ended.
    await lab.delete(former);
    await lab.apply(heir);
    const second = await lab.agent('heir');
    assert.equal(await lab.addressOf('heir'), address);
    await second.listen(port);
    assert.equal(await say(second, addresses.far[4], agents.far, 'from the heir'), 'from the heir');
    assert.equal(await say(agents.one, address, second, 'to the heir'), 'to the heir');
    const called = await lab.accessRecord('ptp', 'the call to the heir', (one) => one.destination.workload === 'heir');
    assert.equal(called.destination.identity, 'spiffe://cluster.local/ns/app/sa/heir');
    await lab.apply(alone);
    assert.equal(
      await say(second, addresses.far[4], agents.far, 'not the former'),
      null,
      'no session of the former is used',
    );
    await lab.delete(denied + heir);
  });

  test('a node that vanishes: what ran with it ends, a service goes on with the rest', {
    timeout: 120_000,
  }, async () => {
    const near = await agents.one.connect(addresses.flat[4], port);
    await near.write('before');
    await (await agents.flat.accepted(port)).untilRead('before');
    await lab.client.fault({ type: 'cut', node: 'flat' });
    await near.untilClosed(40_000);
    // What the cluster says when it has noticed: its pods are no endpoints any more.
    const gone = lab.delete(pod('flat', { node: 'flat' })).catch(() => {}); // it waits for the node that is away
    const isKnown = async () => (await lab.dump('routed')).workloads.some(({ name }) => name === 'flat');
    while (await isKnown()) await new Promise((resolve) => setTimeout(resolve, 50));
    const [pair] = await lab.client.get('Service', 'pair', 'app');
    const { clusterIP } = (pair as { spec: { clusterIP: string } }).spec;
    for (let turn = 0; turn < 4; turn++) {
      assert.equal(await say(agents.far, clusterIP, agents.two, `turn ${turn}`, 80), `turn ${turn}`);
    }
    await lab.client.fault({ type: 'heal' });
    await gone;
    await lab.client.waitInStep(60_000);
  });

  test('uninstall takes everything away, a proxy that starts again brings it back', { timeout }, async () => {
    const { hostPid } = lab.client.lab;
    assert(hostPid > 0);
    const names = [
      'nft list ruleset',
      'ip rule',
      'ip -6 rule',
      'ip route show table all',
      'ip -6 route show table all',
    ];
    const ours = async () =>
      (await within('node', '', 'bridge', ['sh', '-c', names.join('; ')])).match(/ambient \{|539/g);
    assert.notEqual(await ours(), null);
    await lab.client.fault({ type: 'stop', part: { kind: 'node', name: 'bridge' } });
    const program = new URL('../../src/bin/ambient-node.ts', import.meta.url).pathname;
    assert.match(
      await within('node', '', 'bridge', [process.execPath, program, 'uninstall']),
      /this node is as it was/,
    );
    assert.equal(await ours(), null);
    await lab.client.fault({ type: 'cont', part: { kind: 'node', name: 'bridge' } });
    await lab.client.restart({ kind: 'node', name: 'bridge' });
    assert.equal(await say(agents.one, addresses.two[4], agents.two, 'again'), 'again');
  });
});

function nodeOf(name: Name): string {
  if (name === 'far' || name === 'stranger') return 'routed';
  return name === 'flat' ? 'flat' : 'bridge';
}
