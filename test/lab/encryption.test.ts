// Encrypted, and by whom: what crosses the link between nodes, and which certificates the tunnel port takes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodAgent } from './agent.ts';
import { namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';
import { LinkCapture } from './link-capture.ts';
import { knockWithCertificate, type RogueKind } from './rogue.ts';

const port = 8080;
const secret = 'attack-at-dawn-'.repeat(8);
const manifests =
  twoNodes +
  namespace('app') +
  namespace('outside', false) +
  pod('client', { node: node1 }) +
  pod('server', { node: node2 }) +
  pod('plain', { node: node1, namespace: 'outside' }) +
  service('server', 80, port, { app: 'server' });

describe('encryption across nodes', () => {
  let lab: TestLab;
  let client: PodAgent;
  let server: PodAgent;

  before(async () => {
    lab = await startLab(manifests);
    [client, server] = await Promise.all([lab.agent('client'), lab.agent('server')]);
    await server.listen(port);
  });
  after(() => lab?.close());

  test('the link between nodes never shows the payload, and only port 15008 between pods', {
    timeout: 60_000,
  }, async () => {
    const capture = await LinkCapture.start(lab);
    for (const host of ['server', await lab.addressOf('server'), await lab.addressOf('server', 'app', 6)]) {
      const near = await client.connect(host, host === 'server' ? 80 : port);
      await near.write(secret);
      const far = await server.accepted(port);
      await far.untilRead(secret);
      await far.write(secret);
      await near.untilRead(secret);
      await near.end();
      await far.end();
      await near.untilClosed();
    }
    const seen = await capture.stop();
    assert(seen.packets > 20, `${seen.packets} packets were seen`);
    assert(seen.ports.has(15008), 'the tunnel was seen');
    assert.equal(seen.text.includes('attack-at-dawn'), false, 'the payload was not seen');
    for (const unwanted of [80, port]) assert.equal(seen.ports.has(unwanted), false, `nothing to port ${unwanted}`);
  });

  test('the capture does see a payload that is not encrypted', { timeout: 60_000 }, async () => {
    const plain = await lab.agent('plain', 'outside');
    const capture = await LinkCapture.start(lab);
    const near = await plain.connect(await lab.addressOf('server'), port);
    await near.write(secret);
    await (await server.accepted(port)).untilRead(secret);
    await near.reset();
    const seen = await capture.stop();
    assert.equal(seen.text.includes('attack-at-dawn'), true);
  });

  const rows: readonly { readonly title: string; readonly kind: RogueKind; readonly taken: boolean }[] = [
    { title: 'a certificate of this mesh is taken', kind: 'genuine', taken: true },
    { title: 'a certificate of another CA is refused', kind: 'other-ca', taken: false },
    { title: 'a certificate of another trust domain is refused', kind: 'other-trust-domain', taken: false },
    { title: 'a certificate out of date is refused', kind: 'expired', taken: false },
    { title: 'a certificate without a SPIFFE id is refused', kind: 'no-spiffe', taken: false },
    { title: 'no certificate is refused', kind: 'none', taken: false },
  ];
  for (const row of rows) {
    test(row.title, { timeout: 60_000 }, async () => {
      const answer = await knockWithCertificate(lab, row.kind, await lab.addressOf('server'), port);
      assert.equal(answer.taken, row.taken, JSON.stringify(answer));
    });
  }
});
