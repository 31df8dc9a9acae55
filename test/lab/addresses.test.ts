// Kept addresses: the application sees the address of the pod that called it, and nobody else's.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodAgent } from './agent.ts';
import { namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';
import { LinkCapture } from './link-capture.ts';
import { knockWithCertificate } from './rogue.ts';

const port = 8080;
const secret = 'keep-it-to-yourself-'.repeat(8);
const nodeAddresses = { [node1]: ['10.80.0.11', 'fd80::b'], [node2]: ['10.80.0.12', 'fd80::c'] } as const;
const manifests =
  twoNodes +
  namespace('app') +
  namespace('outside', false) +
  pod('client', { node: node1 }) +
  pod('other', { node: node1 }) +
  pod('near', { node: node1 }) +
  pod('far', { node: node2 }) +
  pod('plain', { node: node1, namespace: 'outside' }) +
  service('near', 80, port, { app: 'near' }) +
  service('far', 80, port, { app: 'far' });

/** The address of `ADDRESS:PORT` as Node's sockets give it. */
function addressOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^::ffff:/, '');
}

/** What `server` sees as the address of a connection from `client`; bytes go both ways. */
async function seenBy(server: PodAgent, client: PodAgent, host: string, at: number): Promise<string> {
  const opened = await client.connect(host, at);
  await opened.write('ask;');
  const accepted = await server.accepted(port);
  await accepted.untilRead('ask;');
  await accepted.write('answer;');
  await opened.untilRead('answer;');
  await opened.end();
  await accepted.end();
  await Promise.all([opened.untilClosed(), accepted.untilClosed()]);
  return addressOf(accepted.peer);
}

describe('kept client addresses', () => {
  let lab: TestLab;
  let client: PodAgent;
  let plain: PodAgent;
  const servers = new Map<string, PodAgent>();

  before(async () => {
    lab = await startLab(manifests, { nodeConfig: { threads: 1 } });
    const [one, near, far, outside] = await Promise.all([
      lab.agent('client'),
      lab.agent('near'),
      lab.agent('far'),
      lab.agent('plain', 'outside'),
    ]);
    client = one;
    plain = outside;
    servers.set('near', near).set('far', far).set('plain', outside);
    await Promise.all([near, far, outside].map((server) => server.listen(port)));
  });
  after(() => lab?.close());

  const server = (name: string): PodAgent => servers.get(name)!;

  test('both proxies have proved that it works', async () => {
    for (const node of [node1, node2]) {
      const { clientAddresses } = await lab.dump(node);
      assert.deepEqual(clientAddresses, { setting: 'auto', ipv4: true, ipv6: true, reason: null });
    }
  });

  for (const family of [4, 6] as const) {
    for (const [name, where] of [
      ['near', 'on its node'],
      ['far', 'on another node'],
    ] as const) {
      test(`IPv${family}: a pod ${where} sees the pod that calls it`, async () => {
        const own = await lab.addressOf('client', 'app', family);
        const host = await lab.addressOf(name, 'app', family);
        assert.equal(await seenBy(server(name), client, host, port), own);
      });

      test(`IPv${family}: a pod ${where} sees the pod outside the mesh that calls it`, async () => {
        const own = await lab.addressOf('plain', 'outside', family);
        const host = await lab.addressOf(name, 'app', family);
        assert.equal(await seenBy(server(name), plain, host, port), own);
      });
    }
    test(`IPv${family}: a pod outside the mesh sees the enrolled pod that calls it`, async () => {
      const own = await lab.addressOf('client', 'app', family);
      const host = await lab.addressOf('plain', 'outside', family);
      assert.equal(await seenBy(plain, client, host, port), own);
    });
  }

  test('by ClusterIP it is the same', async () => {
    const own = await lab.addressOf('client');
    for (const name of ['near', 'far']) assert.equal(await seenBy(server(name), client, name, 80), own);
    const outside = await lab.addressOf('plain', 'outside');
    assert.equal(await seenBy(server('far'), plain, 'far.app', 80), outside);
  });

  test('200 connections at once, on one node and across', { timeout: 60_000 }, async () => {
    const own = await lab.addressOf('client');
    for (const name of ['near', 'far']) {
      const host = await lab.addressOf(name);
      const count = 200;
      const opened = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const connection = await client.connect(host, port);
          await connection.write(`connection ${i};`);
          return connection;
        }),
      );
      const texts = new Set<string>();
      for (let i = 0; i < count; i++) {
        const accepted = await server(name).accepted(port, 30_000);
        assert.equal(addressOf(accepted.peer), own);
        texts.add((await accepted.untilRead(';', 30_000)).text);
        await accepted.write('ok');
      }
      assert.equal(texts.size, count, 'each connection brought its own text');
      await Promise.all(opened.map((connection) => connection.untilRead('ok', 30_000)));
      await Promise.all(opened.map((connection) => connection.reset()));
    }
  });

  test('an address is believed only with the identity that has it', { timeout: 60_000 }, async () => {
    const far = await lab.addressOf('far');
    const seen = async (claimed: string): Promise<string> => {
      const answer = await knockWithCertificate(lab, 'genuine', far, port, claimed);
      assert.equal(answer.taken, true, JSON.stringify(answer));
      return addressOf((await server('far').accepted(port)).peer);
    };
    // The certificate is that of `client`.
    const [own, others] = [await lab.addressOf('client'), await lab.addressOf('other')];
    assert.equal(await seen(own), own);
    assert.equal(await seen(others), nodeAddresses[node2][0]);
    assert.equal(await seen('192.0.2.7'), nodeAddresses[node2][0]);
  });

  test('a pod still reaches the one whose address its proxy uses', async () => {
    const near = await lab.agent('client');
    await near.listen(port);
    const host = await lab.addressOf('client');
    assert.equal(await seenBy(near, server('far'), host, port), await lab.addressOf('far'));
  });

  // [who calls, who is called]: what the client sends passes the very node whose proxy connects from its address.
  const samePort = [
    ['an enrolled pod', 'near', 4],
    ['an enrolled pod', 'near', 6],
    ['a pod outside the mesh', 'far', 4],
    ['a pod outside the mesh', 'far', 6],
  ] as const;
  for (const [from, name, family] of samePort) {
    test(`IPv${family}: ${from} calls from the very port that the proxy takes for it`, {
      timeout: 60_000,
    }, async () => {
      const caller = from === 'an enrolled pod' ? client : plain;
      const host = await lab.addressOf(name, 'app', family);
      const proxysPort = async (): Promise<number> => {
        const opened = await caller.connect(host, port);
        const accepted = await server(name).accepted(port);
        await Promise.all([opened.reset(), accepted.untilClosed()]);
        return Number(accepted.peer.slice(accepted.peer.lastIndexOf(':') + 1));
      };
      const localPort = (await proxysPort()) + 1;
      const opened = await caller.connect(host, port, { localPort });
      const accepted = await server(name).accepted(port);
      // Over the same two addresses and ports there is now the client's connection and the proxy's.
      for (let i = 0; i < 3; i++) {
        await opened.write(`ask ${i};`);
        await accepted.untilRead(`ask ${i};`);
        await accepted.write(`answer ${i};`);
        await opened.untilRead(`answer ${i};`);
      }
      await opened.end();
      await accepted.untilEnded();
      await accepted.write('late;');
      await opened.untilRead('late;');
      await accepted.end();
      await Promise.all([opened.untilClosed(), accepted.untilClosed()]);
      assert(accepted.peer.endsWith(`:${localPort}`), `the proxy connected from ${accepted.peer}`);
    });
  }

  test('the proxy is killed: both ends see a reset, nothing they sent is seen', { timeout: 60_000 }, async () => {
    const opened = await client.connect(await lab.addressOf('far'), port);
    await opened.write('x');
    const accepted = await server('far').accepted(port);
    await accepted.untilRead('x');
    const capture = await LinkCapture.start(lab);
    await lab.client.fault({ type: 'kill', part: { kind: 'node', name: node2 } });
    for (const end of [accepted, opened]) {
      await end.write(secret).catch(() => undefined);
      await end.untilClosed();
      assert.notEqual((await end.state()).error, null, 'a reset, no end in good order');
    }
    const seen = await capture.stop();
    assert.equal(seen.text.includes('keep-it-to-yourself'), false, 'the payload was not seen');
    await lab.client.waitInStep(30_000);
    assert.equal(await seenBy(server('far'), client, 'far', 80), await lab.addressOf('client'));
  });
});

describe('kept client addresses switched off', () => {
  let lab: TestLab;
  before(async () => {
    lab = await startLab(manifests, { nodeConfig: { keepClientAddress: 'off' } });
  });
  after(() => lab?.close());

  test('the application sees its own node', async () => {
    const [client, near, far] = await Promise.all([lab.agent('client'), lab.agent('near'), lab.agent('far')]);
    await Promise.all([near, far].map((server) => server.listen(port)));
    for (const [i, family] of ([4, 6] as const).entries()) {
      const host = await lab.addressOf('far', 'app', family);
      assert.equal(await seenBy(far, client, host, port), nodeAddresses[node2][i]);
      const local = await lab.addressOf('near', 'app', family);
      assert.equal(await seenBy(near, client, local, port), nodeAddresses[node1][i]);
    }
    const { clientAddresses } = await lab.dump(node1);
    assert.deepEqual(clientAddresses, { setting: 'off', ipv4: false, ipv6: false, reason: null });
  });
});
