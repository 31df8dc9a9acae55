// The first moments of a pod: its very first connection waits until the mesh knows it, and is never sent in the clear.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';
import { LinkCapture } from './link-capture.ts';

const port = 8080;
const manifests =
  twoNodes + namespace('app') + pod('server', { node: node2 }) + service('server', 80, port, { app: 'server' });

describe('a new pod', () => {
  let lab: TestLab;
  before(async () => {
    lab = await startLab(manifests);
  });
  after(() => lab?.close());

  test('its very first connection is encrypted, many times over', { timeout: 90_000 }, async () => {
    const server = await lab.agent('server');
    await server.listen(port);
    const address = await lab.addressOf('server');
    const capture = await LinkCapture.start(lab);
    const rounds = 5;
    for (let i = 0; i < rounds; i++) {
      // The pod's own first act is the connection: no agent that would come later.
      const script = `const s = require('node:net').connect(${port}, '${address}', () => s.write('first-words-${i};'));
        s.on('error', (e) => console.log(e.code)); setInterval(() => {}, 1000);`;
      await lab.apply(eager(`eager-${i}`, script));
      const far = await server.accepted(port, 15_000);
      await far.untilRead(`first-words-${i};`);
    }
    const seen = await capture.stop();
    assert.equal(seen.text.includes('first-words'), false, 'nothing of it crossed the link in the clear');
    assert(seen.ports.has(15008));
    for (let i = 0; i < rounds; i++) {
      const record = await lab
        .accessRecord(node2, `eager-${i}`, (each) => each.source.workload === `eager-${i}` || each.flag === '-', 500)
        .catch(() => null);
      if (record !== null) assert.equal(record.transport, 'mtls');
    }
  });

  test('a pod outside the mesh is let through as soon as it is known', { timeout: 60_000 }, async () => {
    await lab.apply(namespace('outside', false));
    const server = await lab.agent('server');
    await server.listen(8081);
    const address = await lab.addressOf('server');
    const script = `const s = require('node:net').connect(8081, '${address}', () => s.write('plain words;'));
      s.on('error', (e) => console.log(e.code)); setInterval(() => {}, 1000);`;
    await lab.apply(eager('plain-eager', script, 'outside'));
    const far = await server.accepted(8081, 15_000);
    await far.untilRead('plain words;');
  });
});

function eager(name: string, script: string, ns = 'app'): string {
  const container = { name: 'main', image: 'none', command: [process.execPath, '-e', script] };
  const spec = { nodeName: node1, terminationGracePeriodSeconds: 1, containers: [container] };
  return `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: ns }, spec })}\n`;
}
