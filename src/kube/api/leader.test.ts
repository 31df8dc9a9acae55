import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { ApiServer } from '../../lab/api-server/api-server.ts';
import { ApiClient } from './api-client.ts';
import { LeaderElection } from './leader.ts';

const timeout = { timeout: 30_000 };
const namespace = 'kube-system';
const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/ambient-controller`;

async function open(context: TestContext) {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const tls = (): { ca: string } => ({ ca: caPem });
  const client = new ApiClient({ server: url, namespace, tls, authorization: () => `Bearer ${token}` });
  context.after(() => client.close());
  const replica = (identity: string) => {
    const clock = new ManualClock();
    const one = new LeaderElection({ client, namespace, name: 'ambient-controller', identity, clock, random: () => 0 });
    context.after(() => one.close());
    one.start();
    /** Lets its next turns pass, and waits for what came of them. */
    const pass = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn++) {
        await settled(clock, one);
        clock.advance(4_000);
      }
      await settled(clock, one);
    };
    return { one, pass };
  };
  const holder = async (): Promise<unknown> =>
    ((await client.json({ path })) as { spec: Record<string, unknown> }).spec['holderIdentity'];
  return { server, client, replica, holder };
}

/** A turn is over when its successor waits; a leader has a deadline beside it. */
async function settled(clock: ManualClock, one: LeaderElection): Promise<void> {
  while (clock.pending !== (one.isLeading ? 2 : 1)) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('one of two leads; the other takes over when it goes, at once', timeout, async (context) => {
  const { replica, holder } = await open(context);
  const a = replica('a');
  await a.pass(1);
  const b = replica('b');
  await b.pass(1);
  assert.deepEqual([a.one.isLeading, b.one.isLeading, await holder()], [true, false, 'a']);
  await a.one.close();
  assert.equal(await holder(), '');
  await b.pass(1);
  assert.deepEqual([a.one.isLeading, b.one.isLeading, await holder()], [false, true, 'b']);
});

test('one that dies is followed when its lease has gone by', timeout, async (context) => {
  const { replica, client, holder } = await open(context);
  const renewTime = '2020-01-01T00:00:00.000000Z';
  const spec = { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime, leaseTransitions: 3 };
  const metadata = { name: 'ambient-controller', namespace };
  const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
  await client.json({ method: 'POST', path: path.slice(0, path.lastIndexOf('/')), body });
  const b = replica('b');
  await b.pass(3);
  assert.equal(b.one.isLeading, false, 'an old time says nothing: the clock of its writer may be wrong');
  await b.pass(1);
  assert.deepEqual([b.one.isLeading, await holder()], [true, 'b']);
});

test('a leader that cannot renew stops in time, and comes back', timeout, async (context) => {
  const { replica, server } = await open(context);
  const a = replica('a');
  await a.pass(1);
  const told: unknown[] = [];
  a.one.on('leading', (isLeading) => told.push(isLeading));
  a.one.on('trouble', (reason) => told.push(/503/.test(reason)));
  server.faults.add({ match: { resource: 'leases' }, status: 503 });
  await a.pass(2);
  assert.deepEqual([a.one.isLeading, told], [true, [true]]);
  // In the next turn its deadline passes.
  await a.pass(1);
  assert.equal(a.one.isLeading, false);
  server.faults.clear();
  await a.pass(1);
  assert.deepEqual([a.one.isLeading, told], [true, [true, false, true]]);
});
