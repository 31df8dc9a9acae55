// The roots of the mesh in a cluster: in step with the authority, from one leader to the next.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../base/clock.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { createLogger } from '../telemetry/logger.ts';
import { ClusterWrites } from './cluster-writes.ts';
import { eventually } from './testing-controller.ts';

const namespace = 'kube-system';
const path = `/api/v1/namespaces/${namespace}/configmaps/ambient-roots`;
const begunMs = Date.now();
/** Ten times as fast, so that a lease ends soon. */
const clock: Clock = {
  now: () => begunMs + (Date.now() - begunMs) * 10,
  after: (ms, call) => systemClock.after(ms / 10, call),
};

async function open(context: TestContext) {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const clientOf = (): ApiClient => {
    const tls = (): { ca: string } => ({ ca: caPem });
    const client = new ApiClient({ server: url, namespace, tls, authorization: () => `Bearer ${token}` });
    context.after(() => client.close());
    return client;
  };
  const admin = clientOf();
  const replica = (rootsPem: () => readonly string[]) => {
    const api = clientOf();
    const writes = new ClusterWrites({
      api,
      namespace,
      place: () => null,
      statuses: () => [],
      gateways: () => [],
      waypoints: null,
      rootsPem,
      webhook: '',
      clock,
      log: createLogger({ level: 'fatal', format: 'text', write: () => {} }),
    });
    writes.start();
    writes.compiled();
    context.after(() => writes.close());
    return { writes, api };
  };
  const roots = async (): Promise<string | null> => {
    const answer = await admin.json({ path }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    });
    return (answer as { data?: { 'ca.crt'?: string } } | null)?.data?.['ca.crt'] ?? null;
  };
  const says = (text: string) => eventually(async () => (await roots()) === text, `the roots are ${text}`, 2_500);
  return { admin, replica, says };
}

test('a new root stands beside the old one before it signs, and the old one goes at the end', {
  timeout: 60_000,
}, async (context) => {
  const { admin, replica, says } = await open(context);
  let pem: readonly string[] = ['old\n'];
  const { writes } = replica(() => pem);
  await says('old\n');
  pem = ['old\n', 'new\n'];
  writes.changed();
  await says('old\nnew\n');
  // Edited by somebody, in the middle of it.
  const body = { data: { 'ca.crt': 'theirs\n' } };
  await admin.json({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
  await says('old\nnew\n');
  pem = ['new\n'];
  writes.changed();
  await says('new\n');
  await admin.json({ method: 'DELETE', path });
  await says('new\n');
});

test('a leader that is killed is followed, and the next one says what is so by then', {
  timeout: 60_000,
}, async (context) => {
  const { admin, replica, says } = await open(context);
  const first = replica(() => ['old\n']);
  await says('old\n');
  const second = replica(() => ['old\n', 'new\n']);
  // It cannot say anything any more, and does not give the Lease back.
  await first.api.close();
  await says('old\nnew\n');
  const { metadata } = (await admin.json({ path })) as { metadata: { resourceVersion: string } };
  second.writes.changed();
  second.writes.compiled();
  await new Promise((resolve) => clock.after(2_000, () => resolve(null)));
  const after = (await admin.json({ path })) as { metadata: { resourceVersion: string } };
  assert.equal(after.metadata.resourceVersion, metadata.resourceVersion, 'nothing is written twice');
});
