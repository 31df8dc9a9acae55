// Two replicas of a controller, each with a proxy of its own: the page of either tells of both, and of one that does
// not answer it says so.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../base/clock.ts';
import { DiscoveryClient } from '../discovery/delta-client.ts';
import { ObserveClient } from '../discovery/observe-client.ts';
import type { GraphView, ProblemsView, ProxiesView } from '../model/page-views.ts';
import { answer, json, lines } from '../telemetry/metrics-server.ts';
import { requestFlow } from '../telemetry/testing-flows.ts';
import { replicaRoutes } from './page/replicas.ts';
import { admin, certificates, eventually, type Fixture, podManifest, setUp, token, web } from './testing-controller.ts';

const timeout = { timeout: 60_000 };
/** What is waited for comes ten times as soon. */
const quick: Clock = { ...systemClock, after: (ms, action) => systemClock.after(ms / 10, action) };
const account = 'ambient-controller';
const tokenOf = (name: string): string =>
  token(name, 'a', {
    sub: `system:serviceaccount:ambient-system:${account}`,
    'kubernetes.io': {
      namespace: 'ambient-system',
      serviceaccount: { name: account, uid: 'uid-account' },
      pod: { name, uid: `uid-${name}` },
      node: { name: 'a', uid: 'uid-a' },
    },
  });

/** Two controllers that read the same manifests under one authority, at the same port of two addresses of loopback. */
async function twoReplicas(context: TestContext) {
  const pods = { 'replica-1': '127.0.0.2', 'replica-2': '127.0.0.3' };
  const tokens = mkdtempSync(path.join(tmpdir(), 'ambient-replicas-'));
  context.after(() => rmSync(tokens, { recursive: true }));
  const start = async (name: keyof typeof pods, port: number, before: Fixture | null): Promise<Fixture> => {
    const ports = { discovery: port, admin: 0, metrics: 0, readiness: 0, webhook: 0, page: 0 };
    const tokenFile = path.join(tokens, name);
    writeFileSync(tokenFile, tokenOf(name));
    const replicas = { account: `ambient-system/${account}`, tokenFile };
    return setUp(
      context,
      { listenHost: pods[name], serverNames: Object.values(pods), ports, replicas },
      ({ put, file }) => {
        for (const [pod, ip] of Object.entries(pods)) {
          put(`${pod}.json`, podManifest('ambient-system', pod, 'a', account, ip));
        }
        if (before !== null) cpSync(before.file('ca'), file('ca'), { recursive: true });
      },
      quick,
    );
  };
  const first = await start('replica-1', 0, null);
  const second = await start('replica-2', first.controller.addresses.discovery.port, first);
  return [first, second] as const;
}

/** A node proxy that follows a replica and tells of one request of its own. */
async function proxyOf(context: TestContext, fixture: Fixture, pod: string, node: string): Promise<void> {
  const { host, port } = fixture.controller.addresses.discovery;
  const [url, tokenFile] = [`https://${host}:${port}`, fixture.file(`token-${pod}`)];
  writeFileSync(tokenFile, token(pod, node));
  const who = { kind: 'node', name: pod, namespace: 'ambient-system', nodeName: node } as const;
  const proxy = { ...who, addresses: [], clusterId: 'Kubernetes', version: 'test' };
  const flow = requestFlow({ time: new Date().toISOString(), status: 200, durationMs: 5 });
  const routes = {
    'GET /state': () =>
      json({ certificates: [], discovery: { connected: true }, threads: [], limits: [], pending: [] }),
    'GET /edges': () => json({ edges: [] }),
    'GET /flows': () => {
      async function* told(): AsyncIterable<string> {
        yield `${JSON.stringify({ ...flow, reporter: { ...flow.reporter, name: node } })}\n`;
        await once(context.signal, 'abort').catch(() => {});
      }
      return lines(told());
    },
  };
  const client = new DiscoveryClient({
    ...{ url, tokenFile, rootsFile: fixture.rootsFile, node: proxy, held: {} },
    apply: () => [],
    attend: (transport, headers, signal) => void new ObserveClient(proxy, routes).attend(transport, headers, signal),
    ...{ clock: systemClock, random: Math.random },
  });
  context.after(() => client.close());
  client.start();
  await once(client, 'synced');
}

const pageOf = <View>({ controller }: Fixture, topic: string): Promise<View> =>
  fetch(`http://127.0.0.1:${controller.addresses.page}/api/${topic}`).then((answer) => answer.json() as Promise<View>);

test('the page of either replica tells of the proxies of both; one that is gone is said', timeout, async (context) => {
  const [first, second] = await twoReplicas(context);
  await Promise.all([proxyOf(context, first, 'proxy-a', 'a'), proxyOf(context, second, 'proxy-b', 'b')]);
  for (const [here, own] of [
    [first, 'replica-1'],
    [second, 'replica-2'],
  ] as const) {
    let view: ProxiesView | null = null;
    const isWhole = async (): Promise<boolean> => {
      view = await pageOf<ProxiesView>(here, 'proxies');
      const { proxies, replicas = [] } = view;
      return replicas.length === 2 && proxies.length === 2 && proxies.every(({ heardAt }) => heardAt !== null);
    };
    await eventually(isWhole, `both are seen at ${own}`, 2_000);
    const { replicas = [], proxies } = view as unknown as ProxiesView;
    assert.deepEqual(replicas[0], {
      pod: `ambient-system/${own}`,
      version: replicas[0]!.version,
      isThis: true,
      proxies: 1,
    });
    assert.deepEqual(proxies.map(({ name, state }) => [name, state]).sort(), [
      ['a', 'in step'],
      ['b', 'in step'],
    ]);
    assert.deepEqual((await pageOf<GraphView>(here, 'graph')).heard, { proxies: 2, silent: [] });
    // Each alone, for `ambientctl` to join.
    assert.equal((await admin<{ proxies: unknown[] }>(here, '/proxies')).proxies.length, 1);
  }
  await second.controller.close();
  const isMissed = async (): Promise<boolean> =>
    (await pageOf<ProblemsView>(first, 'problems')).incomplete.includes(
      'controller ambient-system/replica-2 does not answer: its proxies are missing here',
    );
  await eventually(isMissed, 'the second is missed', 2_000);
  const { silent } = (await pageOf<GraphView>(first, 'graph')).heard;
  assert.deepEqual(silent, ['controller/ambient-system/replica-2']);
});

test('a replica attends and is no proxy: it gets no certificate, and may ask for little', timeout, async (context) => {
  const [first] = await twoReplicas(context);
  const url = `https://127.0.0.2:${first.controller.addresses.discovery.port}`;
  const manager = certificates(context, { ...first, url }, tokenOf('replica-2'));
  manager.want(web, 'connection');
  await once(manager, 'failed');
  assert.match(first.lines.join(''), /is a controller, and no proxy/);
  const routes = replicaRoutes({ proxies: () => [] }, () => first.controller.status());
  const asked = async (what: string): Promise<string> => {
    const [method = '', target = ''] = what.split(' ');
    const { status, body } = await answer(routes, method, target, new AbortController().signal);
    return `${status} ${body}`;
  };
  assert.match(await asked('GET /replica'), /^200 /);
  assert.match(await asked('GET /proxies/pod/ambient-system/proxy-a/state'), /^404 .*no proxy is connected/);
  for (const more of ['config_dump', 'metrics', 'logging', 'state/x']) {
    assert.match(await asked(`GET /proxies/pod/ambient-system/proxy-a/${more}`), /^404 .*replicas ask for/, more);
  }
  assert.match(await asked('POST /proxies/pod/ambient-system/proxy-a/logging'), /^404 there is: GET/);
  assert.match(await asked('GET /mesh'), /^404/);
});
