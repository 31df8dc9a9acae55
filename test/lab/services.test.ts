// Services as pods see them: spread over endpoints of both nodes, readiness, no endpoint, and neighbours outside the
// mesh.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodAgent } from './agent.ts';
import {
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
const manifests =
  twoNodes +
  namespace('app') +
  namespace('outside', false) +
  pod('client', { node: node1 }) +
  pod('plain', { node: node1, namespace: 'outside' }) +
  pod('plain-server', { node: node2, namespace: 'outside' }) +
  pod('server-a', { node: node1, labels: { role: 'server' }, serviceAccount: 'server' }) +
  pod('server-b', { node: node2, labels: { role: 'server' }, serviceAccount: 'server' }) +
  pod('server-c', { node: node2, labels: { role: 'server' }, serviceAccount: 'server' }) +
  service('server', 80, port, { role: 'server' }) +
  service('headless', port, port, { role: 'server' }, { clusterIP: 'None' }) +
  service('nobody', 80, port, { role: 'nobody' }) +
  service(
    'outward',
    80,
    port,
    { role: 'server' },
    { type: 'NodePort', ports: [{ port: 80, targetPort: port, nodePort: 30080 }] },
  );

describe('services', () => {
  let lab: TestLab;
  let client: PodAgent;
  let plain: PodAgent;
  let plainServer: PodAgent;
  const servers: Record<string, PodAgent> = {};

  before(async () => {
    lab = await startLab(manifests);
    client = await lab.agent('client');
    plain = await lab.agent('plain', 'outside');
    plainServer = await lab.agent('plain-server', 'outside');
    for (const name of ['server-a', 'server-b', 'server-c']) {
      servers[name] = await lab.agent(name);
      await servers[name].listen(port, { greeting: `${name};` });
    }
    await plainServer.listen(port, { greeting: 'plain-server;' });
  });
  after(() => lab?.close());

  /** Which endpoints answer `count` connections from `agent`. */
  async function answers(agent: PodAgent, host: string, toPort: number, count: number): Promise<Map<string, number>> {
    const seen = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const connection = await agent.connect(host, toPort);
      const { text } = await connection.untilRead(';');
      seen.set(text, (seen.get(text) ?? 0) + 1);
      await connection.reset();
    }
    return seen;
  }

  test('VIP traffic spreads over the endpoints of both nodes', { timeout: 60_000 }, async () => {
    const seen = await answers(client, 'server', 80, 60);
    assert.deepEqual([...seen.keys()].sort(), ['server-a;', 'server-b;', 'server-c;']);
    for (const [name, count] of seen) assert(count >= 5, `${name} got ${count} of 60`);
  });

  test('a pod that goes unready gets no new connection, and its running one goes on', { timeout: 60_000 }, async () => {
    const gated =
      pod('gated', {
        node: node2,
        labels: { role: 'gated' },
        serviceAccount: 'server',
        readinessProbe: tcpProbe(9000),
      }) + service('gated', 80, port, { role: 'gated' });
    await lab.client.apply([{ file: 'gated.yaml', text: gated }], 2000).catch(() => null);
    const agent = await lab.agent('gated');
    await agent.listen(port, { greeting: 'gated;' });
    await agent.listen(9000);
    await lab.client.waitInStep(20_000);
    const running = await client.connect('gated', 80);
    await running.untilRead('gated;');
    const far = await agent.accepted(port);
    await agent.call({ op: 'unlisten', port: 9000 });
    await untilReset(async () => await connectAndCut(client, 'gated', 80));
    await running.write('still here');
    await far.untilRead('still here');
    await running.reset();
    await lab.delete(gated);
  });

  test('no endpoint: reset at once with its flag, no hang', async () => {
    const startMs = performance.now();
    await connectAndCut(client, 'nobody', 80);
    assert(performance.now() - startMs < 5_000);
    const record = await lab.accessRecord(node1, 'no endpoint', (each) =>
      (each.destination.service ?? '').startsWith('nobody.app'),
    );
    assert.equal(record.flag, 'NO_ENDPOINT');
  });

  test('a port that the service lacks: reset at once with its flag', async () => {
    await connectAndCut(client, 'server', 81);
    await lab.accessRecord(node1, 'no such port', (each) => /no port 81/.test(each.error ?? ''));
  });

  test('headless names resolve to pods, and pods are reached by them', async () => {
    const seen = await answers(client, 'headless', port, 30);
    assert(seen.size >= 2, `the headless name led to ${[...seen.keys()].join(' ')}`);
  });

  test('enrolled to not enrolled: plain, and said so', async () => {
    const connection = await client.connect(await lab.addressOf('plain-server', 'outside'), port);
    await connection.untilRead('plain-server;');
    await connection.end();
    await (await plainServer.accepted(port)).end();
    await connection.untilClosed();
    const record = await lab.accessRecord(node1, 'plain', (each) => each.destination.workload === 'plain-server');
    assert.equal(record.transport, 'plaintext');
    assert.equal(record.source.identity, 'spiffe://cluster.local/ns/app/sa/client');
    assert.equal(record.destination.identity, null);
  });

  test('not enrolled to enrolled: taken as plaintext without an identity', async () => {
    const seen = await answers(plain, 'server.app', 80, 30);
    assert.equal(seen.size, 3, `by ClusterIP: ${[...seen.keys()].join(' ')}`);
    const record = await lab.accessRecord(
      node2,
      'plain into the mesh',
      (each) => each.direction === 'inbound' && each.transport === 'plaintext' && each.source.workload === 'plain',
    );
    assert.equal(record.source.identity, null);
  });

  test('not enrolled to not enrolled: the proxies see nothing of it', async () => {
    const address = await lab.addressOf('plain-server', 'outside');
    const connection = await plain.connect(address, port);
    await connection.untilRead('plain-server;');
    await connection.reset();
    const records = [...(await lab.accessLog(node1)), ...(await lab.accessLog(node2))];
    assert(!records.some((each) => each.source.workload === 'plain' && each.destination.workload === 'plain-server'));
  });

  test('NodePort into an enrolled pod, from a pod outside the mesh and from the node itself', {
    timeout: 60_000,
  }, async () => {
    const status = await lab.client.status();
    for (const node of status.nodes) {
      const nodeAddress = node.addresses.find((each) => !each.includes(':'))!;
      const seen = await answers(plain, nodeAddress, 30080, 10);
      assert(seen.size >= 1, `NodePort of ${node.name} from a pod`);
      const onNode = await lab.nodeAgent(node1);
      const fromNode = await answers(onNode, nodeAddress, 30080, 5);
      assert(fromNode.size >= 1, `NodePort of ${node.name} from ${node1} itself`);
    }
  });

  test('NodePort of its own node is no way around policy', { timeout: 60_000 }, async () => {
    const spec = { selector: { matchLabels: { app: 'gate' } }, mtls: { mode: 'STRICT' } };
    const gate =
      pod('gate', { node: node1 }) +
      service(
        'gate',
        80,
        port,
        { app: 'gate' },
        {
          type: 'NodePort',
          ipFamilyPolicy: 'PreferDualStack',
          ports: [{ port: 80, targetPort: port, nodePort: 30090 }],
        },
      );
    await lab.apply(gate);
    const agent = await lab.agent('gate');
    await agent.listen(port, { greeting: 'gate;' });
    const status = await lab.client.status();
    const addresses = status.nodes.flatMap((node) => node.addresses);
    for (const address of addresses) {
      const before = await client.connect(address, 30090);
      await before.untilRead('gate;');
      await before.reset();
    }
    await lab.apply(peerAuthentication({ name: 'gate', spec }));
    for (const address of addresses) await connectAndCut(client, address, 30090);
    const inside = await client.connect('gate', 80);
    await inside.untilRead('gate;');
    await inside.reset();
    await lab.delete(gate);
  });

  test('the same node: no tunnel, both identities known', async () => {
    await servers['server-a']!.listen(8082);
    const connection = await client.connect(await lab.addressOf('server-a'), 8082);
    await connection.write('hello');
    await connection.end();
    const far = await servers['server-a']!.accepted(8082);
    await far.untilEnded();
    await far.end();
    await connection.untilClosed();
    const record = await lab.accessRecord(node1, 'same node', (each) => each.transport === 'same-node');
    assert.equal(record.source.identity, 'spiffe://cluster.local/ns/app/sa/client');
    assert.equal(record.destination.identity, 'spiffe://cluster.local/ns/app/sa/server');
  });
});

function tcpProbe(probePort: number): object {
  return { tcpSocket: { port: probePort }, periodSeconds: 1, failureThreshold: 1 };
}

/** A connection that must be refused or reset; resolves when it was. */
async function connectAndCut(agent: PodAgent, host: string, toPort: number): Promise<void> {
  const refused = await agent.connect(host, toPort).catch((error: Error) => error);
  if (refused instanceof Error) return assert.match(refused.message, /ECONNRESET|ECONNREFUSED/);
  const state = await refused.until('cut or answered', (each) => each.closed || each.bytesRead > 0, 5000);
  if (!state.closed) await refused.reset();
  assert.equal(state.bytesRead, 0);
  assert.equal(state.error, 'ECONNRESET');
}

/** Repeats until the attempt is reset: the time a probe and a push need is not the test's to choose. */
async function untilReset(attempt: () => Promise<void>): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
  }
}
