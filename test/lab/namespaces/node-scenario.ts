// What the tests of the whole node proxy look at, run inside fresh namespaces by `node-proxy.test.ts`: the real
// program with the real launcher, capture, controller and pods. Prints one JSON line per row, as
// `capture-scenario.ts` does.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeDump } from '../../../src/model/views.ts';
import { MeshFixture } from './mesh-fixture.ts';
import { ownState, savedState } from './node-state.ts';
import { Agent, makeNode, makePod, type Pod, sh, world } from './topology.ts';

const program = new URL('../../../src/bin/ambient-node.ts', import.meta.url).pathname;

function row(name: string, actual: unknown, expected: unknown): void {
  process.stdout.write(`${JSON.stringify({ row: name, actual, expected })}\n`);
}

function told(text: string): string {
  if (!text.startsWith('{')) return text;
  const { at, sees } = JSON.parse(text) as { at: string; sees: string };
  return `${at} sees ${sees}`;
}

/** The real program; what it says goes to standard error. */
function startProxy(fixture: MeshFixture): ChildProcess {
  return spawn(process.execPath, [program, 'run', '--config', fixture.nodeConfig], { stdio: ['ignore', 2, 2] });
}

async function ask(port: number, path: string): Promise<{ status: number; body: string; pid: number }> {
  try {
    // A connection of its own each time: one that is kept would always lead to the same of two proxies.
    const options = { host: '127.0.0.1', port, path, agent: false, timeout: 2_000 };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = get(options, resolve).on('error', reject);
      request.on('timeout', () => request.destroy());
    });
    let body = '';
    for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
    return { status: response.statusCode ?? 0, body, pid: Number(response.headers['x-ambient-pid']) };
  } catch (error) {
    return { status: 0, body: String(error), pid: 0 };
  }
}

/** Waits until the proxy is ready; returns how long that took, or what it still waits for at the end of `withinMs`. */
async function ready(withinMs: number, proxy: ChildProcess): Promise<number | string> {
  const began = performance.now();
  for (;;) {
    const { status, body, pid } = await ask(15021, '/healthz/ready');
    const tookMs = performance.now() - began;
    if (status === 200 && pid === proxy.pid) return tookMs; // while one replaces another, both may answer
    if (tookMs > withinMs) return body;
    await delay(20);
  }
}

async function dump(): Promise<NodeDump> {
  return JSON.parse((await ask(15000, '/config_dump')).body) as NodeDump;
}

/** True when `alice` reaches `bob`, who is to see her own address. */
async function reaches(alice: Pod, host: string, expected: string): Promise<boolean> {
  return told(await alice.agent.dial(host, 8080)) === expected;
}

async function normal(fixture: MeshFixture, proxy: ChildProcess, alice: Pod, bob: Pod, legacy: Pod): Promise<void> {
  const took = await ready(15_000, proxy);
  row('ready with controller, capture, certificates and threads', typeof took === 'number' ? 'ready' : took, 'ready');
  row('an enrolled pod reaches another through the proxy', await reaches(alice, bob.v4, `bob sees ${alice.v4}`), true);
  row('a pod outside is left alone', told(await legacy.agent.dial(world.v4, 80)), `world sees ${legacy.v4}`);
  row('an enrolled pod reaches the world', typeof JSON.parse(await alice.agent.dial(world.v4, 80)), 'object');
  const { certificates, capture, threads, ready: isReady, edges } = await dump();
  row(
    'the dump shows both identities certified',
    certificates.map(({ identity, state }) => `${identity} ${state}`),
    ['spiffe://cluster.local/ns/shop/sa/alice available', 'spiffe://cluster.local/ns/shop/sa/bob available'],
  );
  row(
    'and capture and threads',
    [isReady, capture.state, threads.map(({ state }) => state)],
    [true, 'applied', ['serving', 'serving']],
  );
  row(
    'and the edge',
    edges.some(({ source, destination, flag }) => `${source.workload}>${destination.workload}${flag}` === 'alice>bob-'),
    true,
  );
  const metrics = (await ask(15020, '/metrics')).body;
  row(
    'metrics count it',
    /istio_tcp_connections_opened_total\{[^}]*source_workload="alice"[^}]*} [1-9]/.test(metrics),
    true,
  );
  const text = JSON.stringify(await dump()) + metrics;
  row('no key in dump or metrics', text.includes('PRIVATE KEY'), false);
  const { network } = await dump();
  const found = ['alice', 'bob', 'legacy'].length;
  row('where pods are was found on the node', [network.source, network.podCidrs.length], ['found', 2 * found]);
  const carol = makePod('carol', 40, [8080]);
  await carol.agent.ready();
  const first = carol.agent.dial(bob.v4, 8080);
  await delay(300);
  fixture.putPod('shop', 'carol', 'carol', [carol.v4, carol.v6]);
  row('the first SYN of a new pod waits until it is known', told(await first), `bob sees ${carol.v4}`);
}

async function killed(fixture: MeshFixture, proxy: ChildProcess, alice: Pod, bob: Pod): Promise<ChildProcess> {
  const isSaved = () =>
    savedState(fixture.stateDir, 'mesh.json').includes('"carol"') &&
    savedState(fixture.stateDir, 'certificates.json').includes('/sa/carol');
  for (let turn = 0; turn < 400 && !isSaved(); turn++) await delay(50);
  await fixture.stopController();
  const gone = once(proxy, 'exit');
  proxy.kill('SIGKILL');
  await gone;
  await delay(50);
  row('killed: a pod reaches nobody', await alice.agent.dial(bob.v4, 8080), 'ECONNREFUSED');
  row('killed: nobody reaches a pod by the network', await alice.agent.dial(world.v4, 80), 'ECONNREFUSED');
  const next = startProxy(fixture);
  const took = await ready(10_000, next);
  const reached = await reaches(alice, bob.v4, `bob sees ${alice.v4}`);
  row('back in service without the controller', [typeof took, reached], ['number', true]);
  const { discovery, certificates } = await dump();
  row('from disk, and it says so', discovery.fromDisk, true);
  row('with its certificates', certificates.filter(({ state }) => state === 'available').length, 3);
  row(
    'readiness says so too',
    /^ready \(serving the state saved at/.test((await ask(15021, '/healthz/ready')).body),
    true,
  );
  await fixture.startController();
  for (let turn = 0; turn < 200 && (await dump()).discovery.fromDisk; turn++) await delay(50);
  row('and follows the controller again when it is back', (await dump()).discovery.fromDisk, false);
  return next;
}

async function replaced(fixture: MeshFixture, old: ChildProcess, alice: Pod, bob: Pod): Promise<ChildProcess> {
  const failures: string[] = [];
  let dials = 0;
  let isOver = false;
  const load = async (): Promise<void> => {
    while (!isOver) {
      dials += 1;
      const answer = told(await alice.agent.dial(bob.v4, 8080));
      if (answer !== `bob sees ${alice.v4}`) failures.push(answer);
    }
  };
  const loads = [load(), load(), load(), load()];
  const next = startProxy(fixture);
  row('a second proxy becomes ready beside the first', typeof (await ready(10_000, next)), 'number');
  const gone = once(old, 'exit');
  old.kill('SIGTERM');
  const [code] = (await gone) as [number];
  await delay(300);
  isOver = true;
  await Promise.all(loads);
  row('a proxy that is replaced drains and ends with 0', code, 0);
  row('and not one new connection fails meanwhile', [failures, dials > 50], [[], true]);
  return next;
}

async function main(): Promise<void> {
  makeNode();
  const far = new Agent('world', [80]);
  const [alice, bob, legacy] = [
    makePod('alice', 10, [8080]),
    makePod('bob', 20, [8080]),
    makePod('legacy', 30, [8080]),
  ];
  await Promise.all([far.ready(), ...[alice, bob, legacy].map(({ agent }) => agent.ready())]);
  const fixture = new MeshFixture('/run/mesh');
  fixture.putPod('shop', 'alice', 'alice', [alice.v4, alice.v6]);
  fixture.putPod('shop', 'bob', 'bob', [bob.v4, bob.v6]);
  fixture.putPod('default', 'legacy', 'default', [legacy.v4, legacy.v6]);
  await fixture.startController();
  const before = ownState();
  const first = startProxy(fixture);
  await normal(fixture, first, alice, bob, legacy);
  const second = await killed(fixture, first, alice, bob);
  const third = await replaced(fixture, second, alice, bob);
  const gone = once(third, 'exit');
  third.kill('SIGTERM');
  row('SIGTERM ends it with 0', ((await gone) as [number])[0], 0);
  row('and the rules stay', sh('nft list tables').includes('inet ambient'), true);
  const args = [program, 'uninstall', '--config', fixture.nodeConfig];
  const uninstall = spawnSync(process.execPath, args, { encoding: 'utf8' });
  row('uninstall ends with 0', [uninstall.status, uninstall.stderr.includes('error')], [0, false]);
  sh('ip link del h-carol'); // it came after `before`
  const after = ownState();
  for (const [what, text] of Object.entries(before)) row(`and is as before: ${what}`, after[what], text);
  await fixture.stopController();
  process.exit(0);
}

await main();
