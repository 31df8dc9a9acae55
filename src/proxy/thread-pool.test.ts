import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { DataThreadStart, ToDataThread } from './messages.ts';
import { ThreadPool } from './thread-pool.ts';

const lives = 3;
const mesh: ToDataThread = {
  type: 'mesh',
  update: {
    workloads: [],
    services: [],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: true,
  },
};
const certificate: ToDataThread = {
  type: 'certificate',
  identity: 'spiffe://a',
  keyPem: '',
  chainPem: [],
  rootsPem: [],
  notAfterMs: 0,
};

/** A pool of two threads of which each may live three times; `outbound` carries the number of the life. */
async function poolOf(t: TestContext) {
  const changes = new EventEmitter();
  const fatal: MeshError[] = [];
  const pool = new ThreadPool({
    threads: 2,
    entry: path.join(import.meta.dirname, 'testing-data-thread.ts'),
    startOf: (threadId, life): DataThreadStart => {
      if (life >= lives) throw new MeshError('LIMIT_REACHED', { limit: 'lives', value: lives, what: `${threadId}` });
      const listeners = { outbound: [life + 1], inbound: [], hbone: [] };
      return { threadId, nodeName: 'n', trustDomain: 't', clusterId: 'c', listeners, config: {} };
    },
    welcome: () => [certificate, mesh],
    onCertificateWanted: () => {},
    onChange: () => changes.emit('change'),
    onFatal: (error) => {
      fatal.push(error);
      changes.emit('change');
    },
    clock: systemClock,
    random: Math.random,
    log: createLogger({ level: 'silent', format: 'json' }),
  });
  t.after(() => pool.close());
  pool.start();
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await once(changes, 'change');
  };
  const serving = (): boolean => pool.views().every(({ state }) => state === 'serving');
  await until(serving);
  return { pool, fatal, until, serving };
}

for (const way of ['die', 'exit']) {
  test(`a thread that ends by '${way}' is replaced and told everything; the other goes on`, async (t) => {
    const { pool, until, serving } = await poolOf(t);
    pool.broadcast({ type: 'logLevel', level: `${way} 1` });
    await until(() => pool.views()[1]?.restarts === 1);
    await until(serving);
    assert.deepEqual(
      pool.views().map(({ restarts }) => restarts),
      [0, 1],
    );
    await pool.snapshot(false, 2_000);
    assert.equal(pool.totals.counters().get('ambient_certificates'), 2);
    assert.equal(pool.totals.counters().get('ambient_lives_total'), 1 + 2);
  });
}

test('a thread whose descriptors are used up is fatal', async (t) => {
  const { pool, fatal, until, serving } = await poolOf(t);
  for (let life = 1; life < lives; life++) {
    pool.broadcast({ type: 'logLevel', level: 'die 0' });
    await until(() => pool.views()[0]?.restarts === life);
    await until(serving);
  }
  pool.broadcast({ type: 'logLevel', level: 'die 0' });
  await until(() => fatal.length > 0);
  assert.equal(fatal[0]?.code, 'LIMIT_REACHED');
});

test('a thread can be made to crash', async (t) => {
  const { pool, until, serving } = await poolOf(t);
  assert.equal(pool.crash(1), true);
  await until(() => pool.views()[1]?.restarts === 1);
  await until(serving);
  assert.equal(pool.views()[0]?.restarts, 0);
  assert.equal(pool.crash(7), false);
});

test('a snapshot does not wait for ever for a thread that is stuck', async (t) => {
  const { pool } = await poolOf(t);
  pool.broadcast({ type: 'logLevel', level: 'mute 0' });
  await pool.snapshot(false, 50);
  assert.equal(pool.totals.counters().get('ambient_certificates'), 1);
});

test('draining ends when every thread has said so', async (t) => {
  const { pool } = await poolOf(t);
  await pool.drain(10_000);
  await pool.close();
  await pool.close();
});
