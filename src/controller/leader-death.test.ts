// Two replicas, of which the leader is killed, or stalls, while it writes: the other one finishes, and nothing is said
// twice or taken back.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { definitionsPath, foreignDefinition } from '../../test/kube/foreign-definitions.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { ApiClient } from '../kube/api/api-client.ts';
import { fieldManager } from '../kube/status-writer.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { controllerName, type ObjectStatus } from '../model/conditions.ts';
import { createLogger } from '../telemetry/logger.ts';
import { ClusterWrites } from './cluster-writes.ts';
import { eventually } from './testing-controller.ts';

const timeout = { timeout: 60_000 };
const apiVersion = 'gateway.networking.k8s.io/v1';
const routes = `/apis/${apiVersion}/namespaces/default/httproutes`;
const count = 30;
const triesMax = 2_000;
const parentRef = { group: '', kind: 'Service', namespace: 'default', name: 'web' };

interface Route {
  readonly metadata: { readonly resourceVersion: string; readonly managedFields: readonly { manager: string }[] };
  readonly status?: {
    readonly parents: readonly { controllerName: string; conditions: readonly { reason: string }[] }[];
  };
}

/** Counts what it met. */
class CountingPattern extends RegExp {
  count = 0;

  override test(text: string): boolean {
    const isMet = super.test(text);
    if (isMet) this.count++;
    return isMet;
  }
}

function statuses(reason: string): ObjectStatus[] {
  return Array.from({ length: count }, (_, at) => {
    const condition = { type: 'Accepted', status: 'True', reason, message: '', observedGeneration: 1 } as const;
    const parents = [{ parentRef, controllerName, conditions: [condition] }];
    return { kind: 'HTTPRoute', namespace: 'default', name: `r${at}`, conditions: [], parents };
  });
}

async function open(context: TestContext) {
  const serverClock = new ManualClock();
  const server = new ApiServer({ clock: serverClock });
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const clientOf = (): ApiClient => {
    const access = { server: url, namespace: 'default', tls: () => ({ ca: caPem }) };
    const client = new ApiClient({ ...access, authorization: () => `Bearer ${token}` });
    context.after(() => client.close());
    return client;
  };
  const admin = clientOf();
  await admin.json({ method: 'POST', path: definitionsPath, body: foreignDefinition('HTTPRoute') });
  await eventually(
    () =>
      admin.json({ path: routes }).then(
        () => true,
        () => false,
      ),
    'routes are served',
    triesMax,
  );
  for (let at = 0; at < count; at++) {
    const body = { apiVersion, kind: 'HTTPRoute', metadata: { name: `r${at}`, namespace: 'default' }, spec: {} };
    await admin.json({ method: 'POST', path: routes, body });
  }
  const replica = (firstReason: string) => {
    let reason = firstReason;
    const api = clientOf();
    const clock = new ManualClock();
    const lines: string[] = [];
    const writes = new ClusterWrites({
      api,
      namespace: 'kube-system',
      place: (_kind, _namespace, name) => ({ path: `${routes}/${name}`, apiVersion }),
      statuses: () => statuses(reason),
      gateways: () => [],
      waypoints: null,
      rootsPem: () => [],
      webhook: '',
      clock,
      log: createLogger({ level: 'info', format: 'text', write: (line) => lines.push(line) }),
    });
    context.after(() => writes.close());
    writes.start();
    writes.compiled();
    const leads = async (): Promise<void> => {
      await eventually(
        async () => {
          clock.advance(500);
          return lines.some((line) => line.includes('this replica leads'));
        },
        `${reason} leads`,
        triesMax,
      );
    };
    const say = (other: string): void => {
      reason = other;
      writes.compiled();
      clock.advance(500);
    };
    return { api, writes, leads, say };
  };
  const read = async (): Promise<Route[]> => ((await admin.json({ path: routes })) as { items: Route[] }).items;
  const said = async (reason: string): Promise<number> => (await read()).filter((one) => saysOnly(one, reason)).length;
  return { server, serverClock, replica, read, said };
}

function saysOnly({ status, metadata }: Route, reason: string): boolean {
  const ours = status?.parents.filter((one) => one.controllerName === controllerName) ?? [];
  const managers = metadata.managedFields.filter(({ manager }) => manager === fieldManager);
  return ours.length === 1 && managers.length === 1 && ours[0]?.conditions.map((one) => one.reason).join() === reason;
}

test(
  'a leader that is killed while it writes: the next one writes the rest, and nothing again',
  timeout,
  async (context) => {
    const { server, serverClock, replica, read, said } = await open(context);
    const held = new CountingPattern(/r[12]\d\/status/);
    server.faults.add({ match: { path: held }, delayMs: 60_000, times: 4 });
    const first = replica('Accepted');
    await first.leads();
    // Four are on their way when it goes, and it gives nothing back.
    await eventually(async () => held.count === 4 && (await said('Accepted')) === 10, 'some are written', triesMax);
    await first.api.close();
    serverClock.advance(60_000);
    const before = await read();
    const done = before.filter((one) => saysOnly(one, 'Accepted'));
    assert.ok(done.length >= 10 && done.length < count, String(done.length));
    const second = replica('Accepted');
    await second.leads();
    await eventually(async () => (await said('Accepted')) === count, 'all are written', triesMax);
    const versions = new Set((await read()).map(({ metadata }) => metadata.resourceVersion));
    const again = done.filter(({ metadata }) => !versions.has(metadata.resourceVersion));
    assert.deepEqual(again, [], 'what was written is left alone');
  },
);

test(
  'a leader that stalls while it writes: what it sent comes late, and what its successor says stands',
  timeout,
  async (context) => {
    const { server, serverClock, replica, said } = await open(context);
    const first = replica('Accepted');
    await first.leads();
    await eventually(async () => (await said('Accepted')) === count, 'all are written', triesMax);
    const held = new CountingPattern(/\/status/);
    server.faults.add({ match: { path: held }, delayMs: 60_000, times: 4 });
    first.say('Late');
    await eventually(async () => held.count === 4, 'four are under way', triesMax);
    const second = replica('Pending');
    await second.leads();
    await eventually(async () => (await said('Pending')) === count, 'all are written again', triesMax);
    serverClock.advance(60_000);
    await first.writes.close();
    assert.equal(await said('Pending'), count, 'the late ones changed nothing');
  },
);
