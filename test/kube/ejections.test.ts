// An endpoint that a waypoint ejects, and its return, as Events beside its pod: from what the waypoint answers to what
// `kubectl describe pod` shows.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { openChannel } from '../../src/discovery/channel.ts';
import { ObserveClient } from '../../src/discovery/observe-client.ts';
import type { EjectedView } from '../../src/model/views.ts';
import { json } from '../../src/telemetry/metrics-server.ts';
import { eventually, ok, pod } from './api-case.ts';
import type { Json } from './api-client.ts';
import { ControllerScene } from './controller-scene.ts';

const scene = ControllerScene.forFile();
const begunMs = Date.now();
/** Ten times as fast, so that nobody waits for the next time that waypoints are asked. */
const clock: Clock = {
  now: () => begunMs + (Date.now() - begunMs) * 10,
  after: (ms, call) => systemClock.after(ms / 10, call),
};
const inNamespace = (plural: string): string => `/api/v1/namespaces/${scene.unique}/${plural}`;

async function runPod(name: string, address: string, spec: object, labels: object): Promise<string> {
  const made = ok(await scene.api.post(inNamespace('pods'), pod(name, { nodeName: 'n1', ...spec }, { labels })), 201);
  const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
  ok(await scene.api.patch('merge', `${inNamespace('pods')}/${name}/status`, { status }));
  return made.metadata.uid;
}

/** What is told of a pod: `kubectl describe` finds by its uid. */
async function eventsOf(name: string, uid: string): Promise<string[]> {
  const list = ok(await scene.api.get(`/apis/events.k8s.io/v1/namespaces/${scene.unique}/events`)).items as Json[];
  return list
    .filter(({ regarding: { kind, name: title, uid: id } }) => kind === 'Pod' && title === name && id === uid)
    .map(({ type, reason, note }) => `${type} ${reason} ${note}`)
    .sort();
}

test('a waypoint ejects an endpoint: its pod says so, and that it is back', { timeout: 120_000 }, async (context) => {
  const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE' }];
  ok(await scene.post('Gateway', 'waypoint', { gatewayClassName: 'ambient-waypoint', listeners }), 201);
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'waypoint' } };
  ok(await scene.api.post(inNamespace('serviceaccounts'), account), 201);
  const uid = await runPod('cart-1', '10.244.1.5', {}, {});
  const labels = { 'gateway.networking.k8s.io/gateway-name': 'waypoint' };
  const own = { serviceAccountName: 'waypoint', automountServiceAccountToken: false };
  const waypointUid = await runPod('waypoint-1', '10.244.1.6', own, labels);
  const { url, rootsFile, controller } = await scene.controller(context, {}, clock);
  await eventually(async () =>
    assert.notEqual(controller.compiler.pod(scene.unique, 'waypoint-1')?.gateway ?? null, null),
  );

  const bound = { apiVersion: 'v1', kind: 'Pod', name: 'waypoint-1', uid: waypointUid };
  const spec = { expirationSeconds: 3_600, audiences: ['ambient-controller'], boundObjectRef: bound };
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  const { token } = ok(await scene.api.post(inNamespace('serviceaccounts/waypoint/token'), request), 201).status;
  let ejected: readonly EjectedView[] = [];
  let asked = 0;
  const answer = async () => {
    asked++;
    return json({ ejected });
  };
  const node = {
    ...({ kind: 'waypoint', namespace: scene.unique, name: 'waypoint-1', nodeName: 'n1' } as const),
    ...{ addresses: ['10.244.1.6'], clusterId: 'Kubernetes', version: '0.1.0' },
  };
  const channel = await openChannel(url, readFileSync(rootsFile, 'utf8'));
  const end = new AbortController();
  context.after(() => {
    end.abort();
    channel.close();
  });
  const client = new ObserveClient(node, { 'GET /ejected': answer });
  void client.attend(channel.transport, { authorization: `Bearer ${token}` }, end.signal).catch(() => undefined);
  // The first answer is what was so before.
  await eventually(async () => assert.ok(asked > 1, 'the waypoint is asked'));
  const endpoint = { service: `${scene.unique}/cart`, namespace: scene.unique, workload: 'cart-1' };
  const times = { since: '2026-01-01T10:30:00.000Z', until: '2026-01-01T10:30:30.000Z' };
  ejected = [{ ...endpoint, ...times, address: '10.244.1.5:8080', reason: '5 answers of 500 to 599 in a row' }];
  const what = `waypoint ${scene.unique}/waypoint has ejected 10.244.1.5:8080 of service ${scene.unique}/cart`;
  const out = `Warning EndpointEjected ${what} until 2026-01-01T10:30:30Z: 5 answers of 500 to 599 in a row`;
  await eventually(async () => assert.deepEqual(await eventsOf('cart-1', uid), [out]));
  ejected = [];
  const service = `service ${scene.unique}/cart`;
  const back = `waypoint ${scene.unique}/waypoint sends requests to 10.244.1.5:8080 of ${service} again`;
  await eventually(async () =>
    assert.deepEqual(await eventsOf('cart-1', uid), [`Normal EndpointReturned ${back}`, out]),
  );
});
