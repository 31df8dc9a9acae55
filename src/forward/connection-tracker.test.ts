import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import type { Workload } from '../model/types.ts';
import type { AccessRecord } from '../telemetry/access-record.ts';
import { EdgeCounters } from '../telemetry/edge-counters.ts';
import { PolicyHits } from '../telemetry/policy-hits.ts';
import type { Admission, AdmissionLimits } from './admission.ts';
import { Connection, type PolicyQuestion } from './connection.ts';
import { ConnectionTracker, type Judgement } from './connection-tracker.ts';
import { EdgeRecorder } from './edge-recorder.ts';
import type { Splice } from './splice.ts';
import { testAdmission } from './testing-admission.ts';
import { pod } from './testing-mesh.ts';

const client = pod('web', 'n1', '10.0.1.2');
const server = pod('cart', 'n2', '10.0.2.2');

function setUp(options: { limits?: Partial<AdmissionLimits>; judgePerTurn?: number; admission?: Admission } = {}) {
  const records: AccessRecord[] = [];
  const edges = new EdgeCounters();
  const policyHits = new PolicyHits();
  const state: { judgement: Judgement; asked: PolicyQuestion[] } = {
    judgement: { allowed: true, decidedBy: null, reason: '' },
    asked: [],
  };
  const tracker = new ConnectionTracker({
    threadId: 0,
    admission: options.admission ?? testAdmission(options.limits),
    judgePerTurn: options.judgePerTurn ?? 1000,
    judge: (question) => {
      state.asked.push(question);
      return state.judgement;
    },
    records: {
      wants: () => true,
      connection: (record) => records.push(record),
      writeOpening: () => {},
      logsOpenings: false,
    },
    edges: new EdgeRecorder(edges),
    policyHits,
  });
  let ids = 0;
  const inbound = (to: Workload = server): Connection => {
    const connection = new Connection(
      `0-${++ids}`,
      'inbound',
      { address: '10.0.1.2', port: 4000 + ids, workload: client, identity: 'spiffe://cluster.local/ns/shop/sa/web' },
      { address: to.addresses[0] ?? '', port: 80, workload: to, identity: null },
    );
    connection.abort = (error) => tracker.finish(connection, error);
    tracker.add(connection);
    tracker.bind(connection, to, 'destination');
    tracker.judge(connection, {
      destination: to,
      sourceIdentity: connection.source.identity,
      sourceIp: '10.0.1.2',
      destinationIp: connection.destination.address,
      destinationPort: 80,
    });
    return connection;
  };
  return { tracker, records, edges, policyHits, state, inbound };
}

test('what policies in dry run would have done is in the record, and counted', () => {
  const { tracker, records, policyHits, state, inbound } = setUp();
  tracker.finish(inbound(), null);
  state.judgement = { ...state.judgement, policyHits: ['dry-run deny shop/p#0'] };
  tracker.finish(inbound(), null);
  assert.deepEqual(
    records.map((one) => one.policyHits),
    [undefined, ['dry-run deny shop/p#0']],
  );
  assert.deepEqual(Object.values(policyHits.counters()), [1]);
});

test('one record per connection, however often it is finished', () => {
  const { tracker, records, inbound } = setUp();
  const connection = inbound();
  tracker.opened(connection);
  tracker.finish(connection, null);
  tracker.finish(connection, new MeshError('DRAINED'));
  assert.equal(records.length, 1);
  assert.equal(records[0]?.flag, '-');
  assert.equal(tracker.size, 0);
});

test('above connectionsMax a connection is refused with LIMIT_REACHED', () => {
  const { inbound } = setUp({ limits: { connectionsMax: 2 } });
  inbound();
  inbound();
  assert.throws(() => inbound(), { code: 'LIMIT_REACHED' });
});

test('a policy that now refuses ends live connections in the same turn, flag and policy named', () => {
  const { tracker, records, state, inbound } = setUp();
  for (let count = 0; count < 3; count++) tracker.opened(inbound());
  state.judgement = { allowed: false, decidedBy: 'shop/no-web', reason: '' };
  tracker.policiesChanged();
  assert.deepEqual(
    records.map(({ flag, decidedBy }) => [flag, decidedBy]),
    Array(3).fill(['POLICY_CHANGE', 'shop/no-web']),
  );
  assert.equal(tracker.size, 0);
});

test('a policy that still allows ends nothing', () => {
  const { tracker, records, inbound, state } = setUp();
  tracker.opened(inbound());
  tracker.policiesChanged();
  assert.equal(state.asked.length, 2);
  assert.equal(records.length, 0);
});

test('many connections are judged in batches, one per turn of the loop, and all of them', async () => {
  const { tracker, records, state, inbound } = setUp({ judgePerTurn: 10 });
  for (let count = 0; count < 25; count++) inbound();
  state.judgement = { allowed: false, decidedBy: null, reason: 'no policy allows it' };
  tracker.policiesChanged();
  assert.equal(records.length, 10);
  while (tracker.size > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(records.length, 25);
});

test('a change of the workload is judged with the new workload', () => {
  const { tracker, state, inbound } = setUp();
  inbound();
  const now = { ...server, policies: ['shop/new'] };
  tracker.workloadChanged(server.uid, now);
  assert.equal(state.asked.at(-1)?.destination, now);
});

for (const [title, now] of [
  ['was removed', null],
  ['has another address', { ...server, addresses: ['10.0.2.9'] }],
  ['has another identity', { ...server, serviceAccount: 'other' }],
] as const) {
  test(`connections of a local pod that ${title} end, those of others do not`, () => {
    const { tracker, records, inbound } = setUp();
    tracker.opened(inbound());
    const other = inbound(pod('stock', 'n2', '10.0.2.3'));
    tracker.workloadChanged(server.uid, now);
    assert.deepEqual(
      records.map(({ flag }) => flag),
      ['WORKLOAD_GONE'],
    );
    assert.equal(other.finished, false);
  });
}

test('a connection that went on to another endpoint does not end with the first one', () => {
  const { tracker, records, inbound } = setUp();
  const connection = inbound();
  tracker.unbind(connection, server.uid);
  tracker.workloadChanged(server.uid, null);
  assert.equal(records.length, 0);
});

test('edges: opened and bytes on the row "-", the end on the row of its flag, live bytes at snapshot time', () => {
  const { tracker, edges, inbound } = setUp();
  const connection = inbound();
  const splice = { bytesSent: 10, bytesReceived: 3 };
  connection.splice = splice as Splice;
  tracker.opened(connection);
  tracker.countBytes();
  assert.deepEqual(figures(edges), [['-', 1, 0, 0, 10, 3]]);
  splice.bytesSent = 25;
  tracker.countBytes();
  tracker.countBytes();
  assert.deepEqual(figures(edges), [['-', 1, 0, 0, 25, 3]]);
  tracker.finish(connection, new MeshError('RESET_BY_SOURCE'));
  assert.deepEqual(figures(edges), [
    ['-', 1, 0, 0, 25, 3],
    ['RESET_BY_SOURCE', 0, 1, 0, 0, 0],
  ]);
});

test('edges: a same-node connection counts for both reporters; a refusal names its policy', () => {
  const { tracker, edges } = setUp();
  const peer = { address: '10.0.1.2', port: 1, workload: client, identity: null };
  const connection = new Connection('0-1', 'outbound', peer, { ...peer, workload: server });
  connection.transport = 'same-node';
  connection.decidedBy = 'shop/no-web';
  tracker.add(connection);
  tracker.finish(connection, new MeshError('POLICY_DENIED', { policy: 'shop/no-web' }));
  assert.deepEqual(
    edges.views().map(({ reporter, flag, failed, decidedBy }) => [reporter, flag, failed, decidedBy]),
    [
      ['source', 'DENY', 1, 'shop/no-web'],
      ['destination', 'DENY', 1, 'shop/no-web'],
    ],
  );
});

function figures(edges: EdgeCounters): unknown[] {
  return edges
    .views()
    .map(({ flag, opened, closed, failed, bytesSent, bytesReceived }) => [
      flag,
      opened,
      closed,
      failed,
      bytesSent,
      bytesReceived,
    ]);
}
