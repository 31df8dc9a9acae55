// Waypoints: who goes through one, who is seen by whom, what happens when it is killed or replaced, and that nobody
// else can be it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { StatusView, WaypointDump } from '../../src/model/views.ts';
import type { AccessRecord, RequestRecord } from '../../src/telemetry/access-record.ts';
import type { PodAgent, PodConnection } from './agent.ts';
import {
  authorizationPolicy,
  document,
  namespace,
  node1,
  node2,
  pod,
  startLab,
  type TestLab,
  twoNodes,
} from './harness.ts';

const port = 8080;
const greetingPort = 9090;
const use = 'ambient.mesh/use-waypoint';
const identity = (account: string): string => `spiffe://cluster.local/ns/app/sa/${account}`;
const target = (name: string) => [{ group: '', kind: 'Service', name }];
const timeout = { timeout: 60_000 };

interface ServiceOptions {
  readonly portName?: string;
  readonly app?: string;
  readonly port?: number;
  readonly waypoint?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

function serviceText(name: string, options: ServiceOptions = {}): string {
  const { portName = 'tcp', app = 'server', port: targetPort = port, waypoint, annotations = {} } = options;
  const labels = waypoint === undefined ? {} : { [use]: waypoint };
  return document({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'app', labels, annotations },
    spec: { selector: { app }, ports: [{ name: portName, port: 80, targetPort }] },
  });
}

const gateway = document({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'wp', namespace: 'app', labels: { 'ambient.mesh/waypoint-for': 'all' } },
  spec: { gatewayClassName: 'ambient-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
});
const guarded = { annotations: { 'ambient.mesh/require-waypoint': 'true' }, waypoint: 'wp', app: 'guarded' };

const manifests =
  twoNodes +
  namespace('app') +
  gateway +
  pod('client', { node: node1 }) +
  pod('second', { node: node1 }) +
  pod('server', { node: node2 }) +
  pod('guarded', { node: node1 }) +
  pod('echo', {
    node: node2,
    image: 'ambient/echo',
    ports: [{ name: 'http', containerPort: port }],
    labels: { [use]: 'wp' },
  }) +
  serviceText('through', { waypoint: 'wp' }) +
  serviceText('around', { waypoint: 'none' }) +
  serviceText('guarded', guarded) +
  serviceText('web', { waypoint: 'wp', portName: 'http', app: 'echo' }) +
  serviceText('greets', { waypoint: 'wp', portName: 'any', port: greetingPort });

describe('waypoint', () => {
  let lab: TestLab;
  const agents: Record<string, PodAgent> = {};

  before(async () => {
    lab = await startLab(manifests, { waypointConfig: { log: { format: 'json' }, timeouts: { drainMs: 4_000 } } });
    for (const name of ['client', 'second', 'server', 'guarded']) agents[name] = await lab.agent(name);
    await Promise.all([agents.server!.listen(port), agents.guarded!.listen(port)]);
  });
  after(() => lab?.close());

  async function vipOf(name: string): Promise<string> {
    const [found] = await lab.client.get('Service', name, 'app');
    return (found!.spec as { clusterIP: string }).clusterIP;
  }

  /** The server's end of a connection from `from` that has carried a word; null when it was cut. */
  async function reach(from: string, host: string, toPort: number, server = 'server'): Promise<PodConnection | null> {
    let connection: PodConnection;
    try {
      connection = await agents[from]!.connect(host, toPort);
    } catch (error) {
      assert.match(String(error), /ECONNRESET|ECONNREFUSED/);
      return null;
    }
    await connection.write('hello').catch(() => {});
    const decided = new AbortController();
    const accepted = agents[server]!.accepted(port, 10_000, decided.signal).catch(() => null);
    const cut = connection.untilClosed(10_000).then(
      () => 'cut' as const,
      () => null,
    );
    const first = await Promise.race([accepted, cut]);
    decided.abort();
    if (first === 'cut' || first === null) return null;
    await first.untilRead('hello');
    await connection.reset();
    await first.untilClosed();
    return first;
  }

  /** The status line of one HTTP request, '' when there was no answer. */
  async function statusOf(path: string, host = 'web', header = 'accept: */*', pod?: string): Promise<string> {
    try {
      const connection = await agents.client!.connect(pod ?? (await vipOf(host)), pod === undefined ? 80 : port);
      await connection.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${header}\r\nconnection: close\r\n\r\n`);
      const { text } = await connection.untilEnded();
      return text.split('\r\n', 1)[0] ?? '';
    } catch (error) {
      return String(error);
    }
  }

  async function recordOf(
    part: Parameters<TestLab['accessLog']>[0],
    fits: (record: AccessRecord) => boolean,
  ): Promise<AccessRecord> {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const found = (await lab.accessLog(part)).findLast(fits);
      if (found !== undefined) return found;
      assert.ok(Date.now() < deadline, 'the record is there in time');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const wp = { waypoint: 'wp', namespace: 'app' };

  test('TCP: the waypoint sees the client, the destination sees the waypoint', timeout, async () => {
    assert.notEqual(await reach('client', await vipOf('through'), 80), null);
    const seen = await recordOf(wp, (record) => record.destination.service === 'through.app.svc.cluster.local');
    assert.equal(seen.source.identity, identity('client'));
    assert.equal(seen.source.workload, 'client');
    assert.equal(seen.destination.identity, identity('server'));
    const inbound = await recordOf(node2, (record) => record.direction === 'inbound' && record.flag !== 'DENY');
    assert.equal(inbound.source.identity, identity('wp'));
    assert.equal(inbound.destination.workload, 'server');
  });

  test('a server that speaks first, on a port that says nothing of its protocol, is heard', timeout, async () => {
    await agents.server!.listen(greetingPort, { greeting: '220 ready' });
    const connection = await agents.client!.connect(await vipOf('greets'), 80);
    await connection.untilRead('220 ready');
    const server = await agents.server!.accepted(greetingPort);
    await connection.write('HELO');
    await server.untilRead('HELO');
    await connection.reset();
  });

  test('a service that opts out is reached without it', timeout, async () => {
    assert.notEqual(await reach('second', await vipOf('around'), 80), null);
    const inbound = await recordOf(node2, ({ source }) => source.identity === identity('second'));
    assert.equal(inbound.destination.workload, 'server');
  });

  test('policy at the waypoint judges the client, policy at the pod the waypoint', timeout, async () => {
    const from = (account: string) => [{ source: { principals: [`cluster.local/ns/app/sa/${account}`] } }];
    const denied = authorizationPolicy({
      name: 'not-the-client',
      spec: { targetRefs: target('through'), action: 'DENY', rules: [{ from: from('client') }] },
    });
    const vip = await vipOf('through');
    await lab.apply(denied);
    assert.equal(await reach('client', vip, 80), null);
    assert.notEqual(await reach('second', vip, 80), null);
    const refused = await recordOf(wp, ({ flag }) => flag === 'DENY');
    assert.equal(refused.decidedBy, 'app/not-the-client');
    await lab.delete(denied);
    const selector = { matchLabels: { app: 'server' } };
    const allowed = authorizationPolicy({
      name: 'the-waypoint',
      spec: { selector, action: 'ALLOW', rules: [{ from: from('wp') }] },
    });
    await lab.apply(allowed);
    assert.notEqual(await reach('client', vip, 80), null);
    assert.equal(await reach('client', await vipOf('around'), 80), null);
    await lab.delete(allowed);
  });

  test('a service that demands its waypoint has no other way in', timeout, async () => {
    assert.notEqual(await reach('client', await vipOf('guarded'), 80, 'guarded'), null);
    const address = await lab.addressOf('guarded');
    assert.equal(await reach('client', address, port, 'guarded'), null, 'on the same node');
    assert.equal(await reach('server', address, port, 'guarded'), null, 'from another node');
    const refused = await recordOf(
      node1,
      ({ flag, destination }) => flag === 'DENY' && destination.workload === 'guarded',
    );
    assert.equal(refused.decidedBy, 'app/guarded');
  });

  test('HTTP: routes and policy of the service', timeout, async () => {
    assert.equal(await statusOf('/'), 'HTTP/1.1 200 OK');
    const route = document({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'web', namespace: 'app' },
      spec: {
        parentRefs: target('web'),
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/old' } }],
            filters: [{ type: 'RequestRedirect', requestRedirect: { hostname: 'new.example', statusCode: 301 } }],
          },
          { backendRefs: [{ name: 'web', port: 80 }] },
        ],
      },
    });
    const policy = authorizationPolicy({
      name: 'no-admin',
      spec: { targetRefs: target('web'), action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }] },
    });
    await lab.apply(route + policy);
    assert.match(await statusOf('/old/page'), /^HTTP\/1.1 301 /);
    assert.match(await statusOf('/admin'), /^HTTP\/1.1 403 /);
    assert.equal(await statusOf('/other'), 'HTTP/1.1 200 OK');
    const record = await recordOf(wp, ({ kind, status }) => kind === 'request' && status === 403);
    assert.deepEqual([record.method, record.path, record.decidedBy], ['GET', '/admin', 'app/no-admin']);
    await lab.delete(route + policy);
  });

  test('a pod by its own address: HTTP too, and the policy that is on the waypoint', timeout, async () => {
    const address = await lab.addressOf('echo');
    const onWaypoint = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'wp' }];
    const rules = [{ to: [{ operation: { paths: ['/secret'] } }] }];
    const policy = authorizationPolicy({ name: 'no-secret', spec: { targetRefs: onWaypoint, action: 'DENY', rules } });
    const ask = (path: string): Promise<string> => statusOf(path, 'echo', undefined, address);
    assert.equal(await ask('/secret'), 'HTTP/1.1 200 OK');
    await lab.apply(policy);
    assert.match(await ask('/secret'), /^HTTP\/1.1 403 /);
    assert.equal(await ask('/'), 'HTTP/1.1 200 OK');
    const record = await recordOf(wp, ({ path, status }) => path === '/secret' && status === 403);
    assert.deepEqual([record.decidedBy, record.destination.service], ['app/no-secret', null]);
    await lab.delete(policy);
  });

  test('a policy that comes while a WebSocket is open ends it; that of another client stays', timeout, async () => {
    const vip = await vipOf('web');
    const upgrade = `GET /ws HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n`;
    const open = async (from: string): Promise<PodConnection> => {
      const connection = await agents[from]!.connect(vip, 80);
      await connection.write(`${upgrade}x-from: ${from}\r\n\r\n`);
      await connection.untilRead('101 Switching Protocols');
      return connection;
    };
    const [cut, kept] = await Promise.all([open('client'), open('second')]);
    const { connections } = (await lab.client.admin('waypoint', 'app/wp', '/config_dump')) as WaypointDump;
    const shown = connections.filter(({ request }) => request?.path === '/ws');
    assert.deepEqual(
      shown.map(({ source, destination, request }) => [source.identity, destination.workload, request?.status]).sort(),
      [
        [identity('client'), 'echo', 101],
        [identity('second'), 'echo', 101],
      ],
    );
    const from = [{ source: { principals: ['cluster.local/ns/app/sa/client'] } }];
    const denied = authorizationPolicy({
      name: 'no-client',
      spec: { targetRefs: target('web'), action: 'DENY', rules: [{ from }] },
    });
    await lab.apply(denied);
    await cut.untilClosed();
    const record = await recordOf(wp, ({ flag }) => flag === 'POLICY_CHANGE');
    assert.deepEqual(
      [record.source.workload, record.path, record.status, record.decidedBy],
      ['client', '/ws', 101, 'app/no-client'],
    );
    assert.equal((await kept.state()).closed, false);
    await kept.reset();
    await lab.delete(denied);
  });

  test('tokens: who a request comes from, and what policy makes of it', timeout, async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const jwks = JSON.stringify({ keys: [await exportJWK(publicKey)] });
    const issuer = 'https://id.example';
    const bearer = async (sub: string, exp = Date.now() / 1000 + 600) => {
      const token = await new SignJWT({ iss: issuer, sub, exp }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
      return `authorization: Bearer ${token}`;
    };
    const gatewayTarget = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'wp' }];
    const authentication = document({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name: 'jwt', namespace: 'app' },
      spec: { targetRefs: target('web'), jwtRules: [{ issuer, jwks }] },
    });
    const onlyAnn = [
      { from: [{ source: { requestPrincipals: [`${issuer}/ann`] } }] },
      { to: [{ operation: { paths: ['/healthz'] } }] },
    ];
    const policies =
      authentication +
      authorizationPolicy({ name: 'only-ann', spec: { targetRefs: target('web'), rules: onlyAnn } }) +
      authorizationPolicy({ name: 'look', spec: { targetRefs: gatewayTarget, action: 'AUDIT', rules: [{}] } });
    await lab.apply(policies);
    // [what, path, header, status]
    const rows = [
      ['no token', '/', undefined, 403],
      ['the right subject', '/', await bearer('ann'), 200],
      ['again, known by now', '/', await bearer('ann'), 200],
      ['another subject', '/', await bearer('bob'), 403],
      ['expired', '/', await bearer('ann', 1000), 401],
      ['no token at all', '/', 'authorization: Bearer nonsense', 401],
      ['an open path', '/healthz', undefined, 200],
    ] as const;
    for (const [what, path, header, status] of rows) {
      assert.match(await statusOf(path, 'web', header), new RegExp(`^HTTP/1.1 ${status} `), what);
    }
    const record = await recordOf(wp, ({ kind, status }) => kind === 'request' && status === 401);
    assert.deepEqual([record.flag, record.decidedBy], ['UNAUTHENTICATED', 'app/jwt']);
    const audited = (await recordOf(wp, ({ path }) => path === '/healthz')) as unknown as RequestRecord;
    assert.deepEqual(audited.policyHits, ['audit app/look#0']);
    await lab.delete(policies);
    assert.equal(await statusOf('/'), 'HTTP/1.1 200 OK');
  });

  test('status and config speak of it, and only it has its certificate', timeout, async () => {
    const { proxies } = (await lab.client.admin('controller', '', '/status')) as StatusView;
    const waypoints = proxies.filter(({ kind }) => kind === 'waypoint');
    assert.deepEqual(
      waypoints.map(({ ready, inStep, types }) => [ready, inStep, types.map(({ type }) => type.split('.').at(-1))]),
      [[true, true, ['CertificateRevocation', 'Authorization', 'ServiceRoutes', 'Address']]],
    );
    const dump = (await lab.client.admin('waypoint', 'app/wp', '/config_dump')) as WaypointDump;
    assert.equal(dump.waypoint, 'app/wp');
    assert.equal(dump.pod, waypoints[0]?.name);
    assert.deepEqual(
      dump.certificates.map((one) => one.identity),
      [identity('wp')],
    );
    for (const node of [node1, node2]) {
      const { certificates } = await lab.dump(node);
      assert.ok(certificates.length > 0);
      assert.ok(!certificates.some((one) => one.identity === identity('wp')), `${node} has no certificate of it`);
    }
  });

  test('killed: it comes back', timeout, async () => {
    await lab.client.restart({ kind: 'waypoint', ...named }, { kill: true });
    assert.equal(await statusOf('/'), 'HTTP/1.1 200 OK');
  });

  /** The status lines of requests that are made, one after the other in three rows, while `work` runs. */
  async function underLoad(work: () => Promise<unknown>): Promise<string[]> {
    const answers = new Set<string>();
    let isOver = false;
    const load = async (): Promise<void> => {
      while (!isOver) answers.add(await statusOf('/'));
    };
    const running = [load(), load(), load()];
    await work().finally(() => {
      isOver = true;
    });
    await Promise.all(running);
    return [...answers];
  }

  test('replaced under load: no request fails', timeout, async () => {
    const [before] = await waypointPods();
    const answers = await underLoad(() => lab.client.restart({ kind: 'waypoint', ...named }, { rolling: true }));
    assert.deepEqual(answers, ['HTTP/1.1 200 OK']);
    assert.notEqual((await waypointPods())[0], before);
  });

  test('put behind it and taken away under load: no request fails', timeout, async () => {
    const web = (waypoint: string): string => serviceText('web', { waypoint, portName: 'http', app: 'echo' });
    const answers = await underLoad(async () => {
      for (const waypoint of ['none', 'wp', 'none', 'wp']) await lab.apply(web(waypoint));
    });
    assert.deepEqual(answers, ['HTTP/1.1 200 OK']);
  });

  test('a service that is deleted under load, and comes back: its neighbour notices nothing', timeout, async () => {
    const [web, beside] = ['web', 'beside'].map((name) =>
      serviceText(name, { waypoint: 'wp', portName: 'http', app: 'echo' }),
    ) as [string, string];
    const neighbour = new Set<string>();
    await lab.apply(beside);
    const answers = await underLoad(async () => {
      await lab.delete(web);
      for (let turn = 0; turn < 5; turn++) neighbour.add(await statusOf('/', 'beside'));
      await lab.apply(web);
    });
    await lab.delete(beside);
    assert.deepEqual([...neighbour], ['HTTP/1.1 200 OK']);
    assert.ok(answers.includes('HTTP/1.1 200 OK'));
    assert.equal(await statusOf('/'), 'HTTP/1.1 200 OK', 'as before');
  });

  test(
    'it goes with its Gateway, under load: every request ends, and the next ones go without it',
    timeout,
    async () => {
      const answers = await underLoad(() => lab.delete(gateway));
      assert.ok(answers.includes('HTTP/1.1 200 OK'), answers.join());
      assert.deepEqual(await waypointPods(), []);
      assert.equal(await statusOf('/'), 'HTTP/1.1 200 OK', 'nothing stands before the service any more');
      assert.equal(await reach('client', await vipOf('guarded'), 80, 'guarded'), null, 'but for who demands it');
    },
  );

  const named = { namespace: 'app', name: 'wp' };

  async function waypointPods(): Promise<string[]> {
    const { pods } = await lab.client.status();
    return pods.filter(({ serviceAccount }) => serviceAccount === 'wp').map(({ name }) => name);
  }
});
