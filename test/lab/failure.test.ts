// What breaks: a node proxy killed, a data thread dead, the controller away. Nothing leaks, nothing that worked stops
// needlessly.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodAgent, PodConnection } from './agent.ts';
import { namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';
import { LinkCapture } from './link-capture.ts';

const port = 8080;
const manifests =
  twoNodes +
  namespace('app') +
  pod('client', { node: node1 }) +
  pod('server', { node: node2 }) +
  pod('neighbour', { node: node2 }) +
  service('server', 80, port, { app: 'server' });

describe('failure', () => {
  let lab: TestLab;
  let client: PodAgent;
  let server: PodAgent;

  before(async () => {
    lab = await startLab(manifests, { nodeConfig: { log: { format: 'json' }, threads: 2 } });
    [client, server] = await Promise.all([lab.agent('client'), lab.agent('server')]);
    await server.listen(port);
  });
  after(() => lab?.close());

  async function pair(word: string): Promise<[PodConnection, PodConnection]> {
    const near = await client.connect('server', 80);
    await near.write(word);
    for (;;) {
      const far = await server.accepted(port);
      // An attempt of `backAfterMs` that was given up may still arrive: it waited in an accept queue meanwhile.
      const isTold = ({ text, closed }: { text: string; closed: boolean }): boolean =>
        closed || text.length >= word.length || !word.startsWith(text);
      const { text } = await far.until('spoken to', isTold);
      if (text.startsWith(word)) return [near, far];
    }
  }

  /** Tries until a connection carries a word; returns how long that took. */
  async function backAfterMs(limitMs: number): Promise<number> {
    const startMs = performance.now();
    for (;;) {
      const attempt = await attemptOnce().catch(() => false);
      if (attempt) return performance.now() - startMs;
      if (performance.now() - startMs > limitMs) throw new Error(`not back in ${limitMs} ms`);
      // The kernel refuses at once while nobody listens: a short pause keeps this from being a busy loop.
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async function attemptOnce(): Promise<boolean> {
    const near = await client.connect('server', 80);
    await near.write('back;');
    const decided = new AbortController();
    const accepted = server.accepted(port, 1000, decided.signal).catch(() => null);
    const cut = near.untilClosed(1000).then(
      () => null,
      () => null,
    );
    const far = await Promise.race([accepted, cut]);
    decided.abort();
    if (far === null) {
      await near.reset();
      return false;
    }
    await far.untilRead('back;', 1000);
    await near.reset();
    return true;
  }

  test('a data thread that dies takes only its own connections, and is replaced', { timeout: 60_000 }, async () => {
    const pairs: [PodConnection, PodConnection][] = [];
    for (let i = 0; i < 16; i++) pairs.push(await pair(`pair ${i};`));
    const before = await lab.dump(node1);
    const perThread = before.threads.map((thread) => thread.connections);
    assert(
      perThread.every((count) => count > 0),
      `connections per thread: ${perThread.join(', ')}`,
    );
    await lab.client.admin('node', node1, '/debug/kill-thread?id=0', { method: 'POST' });
    const victims = before.connections.filter((each) => each.thread === 0 && each.direction === 'outbound').length;
    let cut = 0;
    for (const [near] of pairs) {
      const closed = await near.untilClosed(500).then(
        () => true,
        () => false,
      );
      if (closed) cut++;
    }
    assert.equal(cut, victims, 'exactly the connections of the dead thread were cut');
    for (const [near, far] of pairs) {
      if ((await near.state()).closed) continue;
      await near.write('survivor;');
      await far.untilRead('survivor;');
      await near.reset();
    }
    await backAfterMs(5000);
    const dump = await lab.dump(node1);
    assert.deepEqual(
      dump.threads.map((thread) => thread.state),
      ['serving', 'serving'],
    );
    assert.equal(dump.threads.find((thread) => thread.id === 0)?.restarts, 1);
  });

  test('the controller away: what worked goes on, new connections and a killed proxy too, nothing in the clear', {
    timeout: 120_000,
  }, async (context) => {
    const [near, far] = await pair('before;');
    await lab.client.fault({ type: 'stop', part: { kind: 'controller' } });
    const capture = await LinkCapture.start(lab);
    try {
      const [fresh, freshFar] = await pair('fresh;');
      await fresh.reset();
      await freshFar.untilClosed();
      await near.write('still;');
      await far.untilRead('before;still;');

      await lab.client.fault({ type: 'kill', part: { kind: 'node', name: node1 } });
      await near.untilClosed();
      assert.notEqual((await near.state()).error, null, 'a reset, no end in good order');
      // Well under 2 s where nothing else runs; it says so, and a loaded machine gets its time.
      context.diagnostic(`back in service after ${Math.round(await backAfterMs(30_000))} ms`);
    } finally {
      await lab.client.fault({ type: 'cont', part: { kind: 'controller' } });
    }
    const seen = await capture.stop();
    assert(seen.packets > 0, 'the capture saw the link');
    assert.equal(seen.text.includes('back;'), false, 'nothing was sent in the clear');
    assert.equal(seen.text.includes('fresh;'), false, 'nothing was sent in the clear');
    await lab.client.waitInStep(30_000);
  });

  test('the controller away for a minute: nothing that worked stops working', { timeout: 150_000 }, async () => {
    const [near, far] = await pair('minute;');
    await lab.client.fault({ type: 'stop', part: { kind: 'controller' } });
    try {
      for (let i = 0; i < 12; i++) {
        // A minute by the clock is what the promise is about.
        await new Promise((resolve) => setTimeout(resolve, 5000));
        await near.write(`tick ${i};`);
        await far.untilRead(`tick ${i};`);
        const [fresh] = await pair(`fresh ${i};`);
        await fresh.reset();
      }
    } finally {
      await lab.client.fault({ type: 'cont', part: { kind: 'controller' } });
    }
    await lab.client.waitInStep(30_000);
    await near.reset();
  });

  test('a node proxy that stays down stops its pods’ traffic and leaks nothing', { timeout: 60_000 }, async () => {
    await lab.client.fault({ type: 'stop', part: { kind: 'node', name: node1 } });
    const capture = await LinkCapture.start(lab);
    const near = await client.connect('server', 80).catch(() => null);
    await near?.write('must not leak;').catch(() => {});
    const far = await server.accepted(port, 2000).catch(() => null);
    assert.equal(far, null, 'nothing arrives while the proxy is stopped');
    const seen = await capture.stop();
    assert.equal(seen.text.includes('must not leak;'), false);
    await lab.client.fault({ type: 'cont', part: { kind: 'node', name: node1 } });
    await backAfterMs(10_000);
  });
});
