// HTTP through a waypoint under load: ejection, storms of retries, replacements of pods and of the waypoint, streams,
// large bodies. And the YAML of other projects' documentation, as it is there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureTools } from '../../native-free/tools.ts';
import type { EjectedListView } from '../../src/model/views.ts';
import type { RequestRecord } from '../../src/telemetry/access-record.ts';
import { document, node1, node2, pod, startLab, type TestLab } from './harness.ts';
import type { Outcome } from './http-agent.ts';
import {
  backend,
  destinationRule,
  gateway,
  HttpClient,
  httpRoute,
  httpScene,
  httpService,
  jsonLog,
  metricsOf,
  seenBy,
  setFaults,
  space,
  sumOf,
  virtualService,
  waypoint,
  waypointPods,
} from './http-scene.ts';

const timeout = { timeout: 90_000 };
const gibibyte = 1024 ** 3;
/** One way, on a machine that is busy otherwise. */
const bulkTimeoutMs = 120_000;
const versions = ['v1', 'v2', 'v3'];
/** Memory of each proxy on the way may grow by this much while a gibibyte passes. */
const growthMaxBytes = 96 * 1024 * 1024;

/** Two replicas that take a second to become ready, and whose probe asks for `probe`. */
function deployment(version: string, probe: string): string {
  const labels = { app: 'rolled', version };
  const readinessProbe = { httpGet: { path: probe, port: 8080 }, periodSeconds: 1, failureThreshold: 1 };
  const container = {
    name: 'main',
    image: 'ambient/echo',
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe,
  };
  return document({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'rolled', namespace: space },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'rolled' } },
      strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels, annotations: { version } },
        spec: { terminationGracePeriodSeconds: 2, containers: [container] },
      },
    },
  });
}

const ejecting = { outlierDetection: { consecutive5xxErrors: 3, interval: '1s', baseEjectionTime: '60s' } };
const manifests =
  httpScene +
  pod('grpc', { node: node2, namespace: space, labels: { app: 'grpc' } }) +
  httpService('grpc', { app: 'grpc' }, 'grpc') +
  httpService('plain', { version: 'v1' }) +
  gateway('pair', 2) +
  httpService('paired', undefined, 'http', { labels: { 'ambient.mesh/use-waypoint': 'pair' } }) +
  httpService('ejecting') +
  destinationRule('ejecting', ejecting) +
  httpService('storm') +
  virtualService('storm', [
    { route: [{ destination: { host: 'storm' } }], retries: { attempts: 5, retryOn: '5xx', backoff: '1ms' } },
  ]) +
  httpService('rolled', { app: 'rolled' }) +
  // Four clients that lose a connection in one second have used up what is granted by default.
  destinationRule('rolled', { ...ejecting, retryBudget: { percent: 100, minRetryConcurrency: 8 } }) +
  deployment('one', '/health') +
  ['reviews', 'ratings', 'httpbin', 'breaking', 'foo'].map((name) => httpService(name)).join('');

const documented = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, `fixtures/documented/${name}.yaml`), 'utf8');

interface EventObject {
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly kind: string; readonly name: string };
}

describe('HTTP through a waypoint under load', () => {
  let lab: TestLab;
  let client: HttpClient;

  before(async () => {
    lab = await startLab(manifests, jsonLog);
    const [ours, server] = await Promise.all([HttpClient.in(lab, 'client'), HttpClient.in(lab, 'grpc')]);
    client = ours;
    await server.agent.call({ op: 'serveGrpc', port: 8080 });
  });
  after(() => lab?.close());
  afterEach(() => Promise.all(versions.map((name) => setFaults(lab, client, name, 'fail-one-in=0&delay=0'))));

  async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await condition())) {
      assert.ok(Date.now() < deadline, `${what} in ${timeoutMs} ms`);
      await sleep(50);
    }
  }

  const failures = ({ statuses, errors }: Outcome): object => ({ ...statuses, 200: 0, ...errors });
  const none = { 200: 0 };

  test('an endpoint that fails is ejected; the others go on', timeout, async () => {
    await setFaults(lab, client, 'v2', 'fail-one-in=1');
    // The balancer prefers whoever is quick, and forgets with time who was slow: three failures may need a while.
    let failed = 0;
    await until('three failures', async () => {
      const burst = await client.burst({ url: 'http://ejecting/', count: 60, concurrency: 1 });
      failed += burst.statuses[503] ?? 0;
      return failed >= 3;
    });
    assert.ok(failed <= 6, `${failed} failures`);
    const then = await client.burst({ url: 'http://ejecting/', count: 60 });
    assert.deepEqual([failures(then), then.pods.v2], [none, undefined]);
    const { ejected } = (await lab.client.admin(
      'waypoint',
      `${waypoint.namespace}/${waypoint.name}`,
      '/ejected',
    )) as EjectedListView;
    assert.deepEqual(
      ejected.map(({ service, workload, reason }) => [service, workload, reason]),
      [[`${space}/ejecting`, 'v2', '3 answers of 500 to 599 in a row']],
    );
    const said = new RegExp(
      `has ejected \\S+ of service ${space}/ejecting until .*: 3 answers of 500 to 599 in a row$`,
    );
    await until('an Event beside the pod', async () => {
      const events = (await lab.client.get('Event', undefined, space)) as unknown as EventObject[];
      return events.some(
        ({ reason, message, involvedObject: { kind, name } }) =>
          reason === 'EndpointEjected' && said.test(message) && `${kind}/${name}` === 'Pod/v2',
      );
    });
  });

  test('a storm of retries does not come about: at most 1.25 times the load', timeout, async () => {
    await Promise.all(versions.map((name) => setFaults(lab, client, name, 'fail-one-in=1')));
    const seen = async (): Promise<number> =>
      (await Promise.all(versions.map((name) => seenBy(lab, client, name)))).reduce((sum, each) => sum + each, 0);
    const before = await seen();
    const { sent, statuses } = await client.burst({ url: 'http://storm/', count: 600, concurrency: 24 });
    assert.deepEqual(statuses, { 503: 600 });
    const upstream = (await seen()) - before;
    assert.ok(upstream > sent && upstream <= 1.25 * sent, `${upstream} requests for ${sent}`);
  });

  test(
    'replacing a service under load: probes that fail stop it, nothing is ejected, no request fails',
    timeout,
    async () => {
      const ejections = async () =>
        sumOf(await metricsOf(lab, client, (await waypointPods(lab))[0]!), 'ambient_http_ejections_total');
      const ejectedBefore = await ejections();
      const load = await client.load({ url: 'http://rolled/', concurrency: 4 });
      const podsOf = async (version: string) =>
        (await lab.client.status()).pods.filter(
          ({ name, owner }) => name.startsWith('rolled-') && owner !== null && versionOf.get(name) === version,
        );
      const versionOf = new Map<string, string>();
      const learn = async (): Promise<void> => {
        for (const each of await lab.client.get('Pod', undefined, space)) {
          const { name, labels = {} } = each.metadata as { name: string; labels?: Record<string, string> };
          versionOf.set(name, labels.version ?? '');
        }
      };
      const bad = [{ file: 'bad.yaml', text: deployment('two', '/status/500') }];
      await assert.rejects(lab.client.apply(bad, 4_000), /rolled-.* is not ready: readiness: .*500/);
      await learn();
      assert.ok((await podsOf('two')).length > 0);
      const halfway = await load.soFar();
      assert.deepEqual(failures(halfway), none);
      assert.equal((await podsOf('one')).filter(({ ready }) => ready).length, 2, 'the old ones stay');
      assert.equal(Object.keys(halfway.pods).length, 2, 'both answer');
      await lab.apply(deployment('three', '/health'));
      await until('replaced', async () => {
        await learn();
        const [old, now] = [[...(await podsOf('one')), ...(await podsOf('two'))], await podsOf('three')];
        return old.length === 0 && now.filter(({ ready }) => ready).length === 2;
      });
      const whole = await load.stop();
      const log = await lab.accessLog({ waypoint: waypoint.name, namespace: space });
      const failed = (log as unknown as RequestRecord[]).filter(({ status }) => status !== null && status >= 500);
      assert.deepEqual(failures(whole), none, failed.map((each) => JSON.stringify(each)).join('\n'));
      assert.ok(Object.keys(whole.pods).length >= 4, JSON.stringify(whole.pods));
      assert.equal(await ejections(), ejectedBefore);
    },
  );

  test(
    'replacing the waypoint under load: no request or call fails, and streams run to their end',
    timeout,
    async () => {
      const load = await client.load({ url: 'http://plain/', concurrency: 4 });
      await until('load', async () => (await load.soFar()).sent > 20);
      const { group } = await client.agent.call({ op: 'openStreams', target: 'grpc:80', count: 20 }, 60_000);
      const [old] = await waypointPods(lab);
      const codes = new Set<number>();
      let goesOn = true;
      const calls = (async () => {
        while (goesOn) codes.add((await client.unary('grpc:80', 'call')).code);
      })();
      const replaced = lab.client.restart(waypoint, { rolling: true });
      await until('the old one goes', async () => !(await waypointPods(lab)).includes(old!));
      await client.agent.call({ op: 'sayOnStreams', group, text: 'while it drains' }, 60_000);
      assert.deepEqual(await client.agent.call({ op: 'closeStreams', group }, 60_000), { codes: { 0: 20 } });
      await replaced;
      const before = (await load.soFar()).sent;
      await until('load afterwards', async () => (await load.soFar()).sent > before + 20);
      goesOn = false;
      await calls;
      assert.deepEqual([failures(await load.stop()), [...codes]], [none, [0]]);
    },
  );

  test('a waypoint of two pods: both serve, and one that is killed takes only what it had', timeout, async () => {
    const pods = await waypointPods(lab, 'pair');
    assert.equal(pods.length, 2);
    const served = async () =>
      Promise.all(pods.map(async (name) => sumOf(await metricsOf(lab, client, name), 'istio_requests_total')));
    const headers = { connection: 'close' };
    const fresh = await client.burst({ url: 'http://paired/', count: 60, headers });
    assert.deepEqual(fresh.statuses, { 200: 60 });
    const shares = await served();
    assert.ok(
      shares.every((share) => share > 10),
      `requests by pod: ${shares.join(', ')}`,
    );
    const concurrency = 8;
    const load = await client.load({ url: 'http://paired/', concurrency });
    await until('load', async () => (await load.soFar()).sent > 50);
    const environment = (pid: number) => readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    const victim = lab
      .processes()
      .filter(({ argv }) => argv.includes('ambient-waypoint.ts'))
      .find(({ pid }) => environment(pid).includes(`POD_NAME=${pods[0]}`))!;
    process.kill(victim.pid, 'SIGKILL');
    const killed = (await load.soFar()).sent;
    await until('load afterwards', async () => (await load.soFar()).sent > killed + 100);
    const { statuses, errors } = await load.stop();
    assert.deepEqual(Object.keys(statuses), ['200']);
    // A connection that went through it is reset, once; its client opens another one.
    const reset = Object.values(errors).reduce((sum, count) => sum + count, 0);
    assert.ok(reset <= concurrency, JSON.stringify(errors));
    const after = await client.burst({ url: 'http://paired/', count: 40, headers });
    assert.deepEqual([after.statuses, after.errors], [{ 200: 40 }, {}]);
  });

  test('h2load: HTTP/2 and HTTP/1.1, every request answered', timeout, async () => {
    ensureTools(['h2load']);
    for (const version of ['', '--h1']) {
      const { exit, stdout, stderr } = await client.shell(`h2load ${version} -n 2000 -c 8 -m 10 http://plain/`);
      assert.equal(exit, 0, stderr);
      assert.match(stdout, /2000 succeeded, 0 failed, 0 errored, 0 timeout/);
      assert.match(stdout, /status codes: 2000 2xx/);
    }
  });

  test('200 streams at once, and a change of their routes that resets none', timeout, async () => {
    const { group } = await client.agent.call({ op: 'openStreams', target: 'grpc:80', count: 200 }, 60_000);
    await lab.apply(
      httpRoute('grpc', [{ matches: [{ headers: [{ name: 'a', value: 'b' }] }], backendRefs: [backend('v1')] }]),
    );
    assert.equal((await client.unary('grpc:80', 'new')).code, 12, 'the route is in force: nothing matches');
    await client.agent.call({ op: 'sayOnStreams', group, text: 'after the change' }, 60_000);
    assert.deepEqual(await client.agent.call({ op: 'closeStreams', group }, 60_000), { codes: { 0: 200 } });
  });

  test('a gibibyte down and up in bounded memory', { timeout: 2 * bulkTimeoutMs }, async () => {
    const waypoints = lab.processes().filter(({ argv }) => argv.includes('ambient-waypoint.ts'));
    const pids = [...waypoints.map(({ pid }) => pid), lab.proxyPid(node1), lab.proxyPid(node2)];
    const mostBytes = (pid: number): number =>
      1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    const before = pids.map(mostBytes);
    const down = await client.shell(
      `curl -sS -o /dev/null -w '%{size_download}' 'http://plain/?size=${gibibyte}'`,
      bulkTimeoutMs,
    );
    assert.equal(down.stdout, String(gibibyte), down.stderr);
    const up = await client.shell(`head -c ${gibibyte} /dev/zero | curl -sS -T - http://plain/up`, bulkTimeoutMs);
    assert.equal(JSON.parse(up.stdout).body.bytes, gibibyte, up.stderr);
    const grown = pids.map((pid, at) => mostBytes(pid) - before[at]!);
    assert.ok(Math.max(...grown) < growthMaxBytes, `waypoints and node proxies grew by ${grown.join(', ')} bytes`);
  });

  describe('YAML as it is documented', () => {
    const podOf = async (url: string, options = ''): Promise<string> => (await client.curl(url, options)).json?.pod;

    test('Istio: traffic shifting, request routing', timeout, async () => {
      await lab.apply(documented('istio-traffic-shifting'));
      const { pods } = await client.burst({ url: 'http://reviews/', count: 100, concurrency: 2 });
      assert.equal(pods.v2, undefined);
      assert.ok(pods.v1! > 25 && pods.v3! > 25, JSON.stringify(pods));
      await lab.apply(documented('istio-request-routing'));
      assert.equal(await podOf('http://reviews/', `-H 'end-user: jason'`), 'v2');
      assert.equal(await podOf('http://reviews/'), 'v1');
    });

    test('Istio: mirroring', timeout, async () => {
      await lab.apply(documented('istio-mirroring'));
      const before = await seenBy(lab, client, 'v2');
      const { pods } = await client.burst({ url: 'http://httpbin/', count: 10 });
      assert.deepEqual(pods, { v1: 10 });
      await until('mirrored', async () => (await seenBy(lab, client, 'v2')) === before + 10);
    });

    test('Istio: circuit breaking', timeout, async () => {
      await lab.apply(documented('istio-circuit-breaking'));
      const alone = await client.burst({ url: 'http://breaking/', count: 10, concurrency: 1 });
      assert.deepEqual(alone.statuses, { 200: 10 });
      const { statuses } = await client.burst({ url: 'http://breaking/?delay=50ms', count: 100, concurrency: 40 });
      assert.ok(statuses[200]! > 0 && statuses[503]! > 0, JSON.stringify(statuses));
    });

    test('Istio: retries, faults', timeout, async () => {
      await lab.apply(documented('istio-retry'));
      // Without `retryOn` only what no application has answered is sent again, as in Istio.
      await setFaults(lab, client, 'v1', 'fail-one-in=2');
      const before = await seenBy(lab, client, 'v1');
      const { statuses } = await client.burst({ url: 'http://ratings/', count: 4, concurrency: 1 });
      assert.deepEqual([statuses, await seenBy(lab, client, 'v1')], [{ 200: 2, 503: 2 }, before + 4]);
      await setFaults(lab, client, 'v1', 'fail-one-in=0');
      assert.equal((await client.curl('http://ratings/?delay=9s')).status, 504, 'perTryTimeout');
      await lab.apply(documented('istio-fault-injection'));
      assert.equal((await client.curl('http://ratings/', `-H 'end-user: jason'`)).status, 500);
      assert.equal((await client.curl('http://ratings/')).status, 200);
    });

    test('Gateway API: a canary in a mesh', timeout, async () => {
      await lab.apply(documented('gateway-api-mesh'));
      assert.equal(await podOf('http://foo/', `-H 'traffic: test'`), 'v2');
      const { pods } = await client.burst({ url: 'http://foo/', count: 200, concurrency: 2 });
      assert.ok(pods.v1! > 150 && pods.v2! > 2, JSON.stringify(pods));
    });
  });
});
