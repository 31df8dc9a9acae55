// What can be done to a running lab: apply, restart, faults, tokens, and the ways in which it ends.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runInProcess } from '../../src/cli/testing-run.ts';
import type { DestinationView } from '../../src/cli/why/destination.ts';
import type { WhyView } from '../../src/cli/why/views.ts';
import { kubeconfigAccess } from '../../src/kube/api/kubeconfig.ts';
import { openPodPort } from '../../src/kube/api/port-forward.ts';
import { findLab, type LabClient, listLabs } from '../../src/lab/control-client.ts';
import type { LabSummary } from '../../src/lab/control-types.ts';
import { enterCommand } from '../../src/lab/enter.ts';
import { launchLab } from '../../src/lab/launch.ts';
import type { NodeDump, StatusView } from '../../src/model/views.ts';
import { ok, refused } from '../kube/api-case.ts';
import { ApiClient, type Json } from '../kube/api-client.ts';
import { overSpdy, overWebSocket } from '../kube/exec-client.ts';
import { targetOfKubeconfig } from '../kube/kubeconfig.ts';
import { guardedPage, lookAtPage, refusesTakenPort } from './dashboard-program.ts';
import { authorizationPolicy } from './harness.ts';
import { simulatedFixture, simulateRows } from './simulate-rows.ts';

const timeout = 90_000;
const fixture = path.join(import.meta.dirname, 'fixtures/enrolled.yaml');

/** Ids of all processes below the lab's first one, as the host sees them. */
function processesOf(lab: LabSummary): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const status = readFileSync(`/proc/${entry}/status`, 'utf8');
      parents.set(Number(entry), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
    } catch {
      // It ended in this moment.
    }
  }
  const isBelow = (pid: number): boolean => pid === lab.hostPid || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(isBelow);
}

async function until(what: string, check: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await check())) {
    assert(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const isGone = (pid: number) => {
  try {
    // A process that has ended and is not yet waited for counts as gone.
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
};

/** What stays of an answer of `why` from one moment to the next. */
function lastingOf(text: string): object {
  const { seen, causes, reasons, unknown, proxies, ...lasting } = JSON.parse(text) as WhyView & DestinationView;
  return { ...lasting, proxies: proxies.map(({ kind, name }) => [kind, name]) };
}

describe('operations on a lab', () => {
  let lab: LabClient;
  let api: ApiClient;
  const page = guardedPage();
  before(async () => {
    const options = { paths: [fixture, simulatedFixture], foreground: true, timeoutMs: 60_000, apiServer: true };
    lab = await launchLab({ name: `ops-${process.pid}`, ...options, controllerConfig: page.config });
    api = new ApiClient(targetOfKubeconfig(lab.kubeconfig()));
  });
  after(async () => {
    api?.close();
    await lab?.down();
    page.remove();
  });

  const inClient = (script: string): Promise<string> => inPod('ops', 'client', script);

  async function inPod(namespace: string, name: string, script: string): Promise<string> {
    const target = await lab.target('pod', namespace, name);
    const { command, args } = enterCommand(target, ['sh', '-c', script]);
    const child = spawn(command, args, { env: target.env, stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => child.on('close', resolve));
    return Buffer.concat(chunks).toString().trim();
  }

  const ask = (limitS = 5) => inClient(`curl -s -m ${limitS} -o /dev/null -w '%{http_code}' http://server/`);

  test('apply returns when every proxy has it', { timeout }, async () => {
    const object = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'late', namespace: 'ops' },
      spec: { ports: [{ port: 80 }] },
    };
    const document = { file: 'late.json', text: JSON.stringify(object) };
    const has = async () => {
      const dumps = await Promise.all(['node-1', 'node-2'].map((node) => lab.admin('node', node, '/config_dump')));
      return dumps.map((dump) => (dump as NodeDump).services.some((service) => service.name === 'late'));
    };
    assert.deepEqual((await lab.apply([document])).applied, [
      { kind: 'Service', namespace: 'ops', name: 'late', action: 'created' },
    ]);
    assert.deepEqual(await has(), [true, true]);
    assert.deepEqual(
      (await lab.delete([document])).applied.map((each) => each.action),
      ['deleted'],
    );
    assert.deepEqual(await has(), [false, false]);
  });

  test('a cluster, by its kubeconfig: commands say what they say of the lab', { timeout }, async () => {
    await lab.waitInStep(30_000);
    const file = lab.kubeconfig();
    const commands = [
      ['status'],
      ['config', 'workloads', '--node', 'node-1'],
      ['config', 'certs', '--node', 'node-2', '-o', 'json'],
      ['why', 'ops/client', 'svc/server.ops', '-o', 'json'],
      ['why', 'svc/site.sim', '-o', 'json'],
    ];
    for (const command of commands) {
      const wanted = await runInProcess([...command, '--lab', lab.lab.name]);
      const { code, out, err } = await runInProcess(['--kubeconfig', file, ...command]);
      // Figures of what is happening are others each time.
      // The lab's controller reads a folder, and says what of it the mesh does not read.
      const said = (text: string): unknown =>
        command[0] === 'why' ? lastingOf(text) : text.replace(/\nignored in .*\n$/, '');
      assert.deepEqual(said(out), said(wanted.out), `${command.join(' ')}: ${err}`);
      assert.equal(err, '');
      // A destination alone exits with 1 where a proxy is overloaded, which is so or not from one moment to the next.
      if (command[1] !== 'svc/site.sim') assert.equal(code, wanted.code);
    }
    for (const mesh of [
      ['--lab', lab.lab.name],
      ['--kubeconfig', file],
    ]) {
      const { code, out, err } = await runInProcess(['certs', ...mesh, '-o', 'json']);
      assert.equal(code, 0, err);
      const { certificates } = JSON.parse(out) as { certificates: { holder: string; type: string; state: string }[] };
      const kinds = new Set(certificates.map(({ holder, type, state }) => `${holder} ${type} ${state}`));
      for (const one of ['controller root', 'controller issuer', 'controller server', 'node/node-1 leaf']) {
        assert.ok(kinds.has(`${one} ok`), out);
      }
    }
    const edges = await runInProcess(['edges', '--kubeconfig', file, '-o', 'json']);
    assert.deepEqual([edges.code, edges.err], [0, '']);
    const other = await runInProcess(['config', 'certs', '--node', 'node-9', '--kubeconfig', file]);
    assert.deepEqual([other.code, /there are node-1, node-2/.test(other.err)], [1, true], other.err);
    const elsewhere = ['status', '--kubeconfig', file, '--system-namespace', 'ops'];
    assert.match((await runInProcess(elsewhere)).err, /namespace ops has none; see: kubectl -n ops get pods/);
    // A port of any pod, from within it.
    const stream = await openPodPort(kubeconfigAccess(file), { namespace: 'ops', pod: 'server', port: 8080 });
    stream.end('GET / HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n');
    const [first] = await once(stream, 'data');
    assert.match(String(first), /^HTTP\/1.1 200/);
    stream.destroy();
  });

  test('dashboard: a page with TLS and a password, through the API server and in the lab', { timeout }, async () => {
    await lookAtPage(['--kubeconfig', lab.kubeconfig()], 'ops/server');
    await lookAtPage(['--lab', lab.lab.name], 'ops/server');
    await refusesTakenPort(['--lab', lab.lab.name]);
  });

  test('what simulate says of a change is what happens when it is applied', { timeout }, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'ambient-simulate-'));
    const file = path.join(folder, 'deny.yaml');
    const text = authorizationPolicy({
      name: 'no-client',
      namespace: 'ops',
      spec: { action: 'DENY', rules: [{ from: [{ source: { principals: ['cluster.local/ns/ops/sa/default'] } }] }] },
    });
    writeFileSync(file, text);
    const simulated = async (...args: string[]) => {
      const { code, out, err } = await runInProcess(['simulate', '--lab', lab.lab.name, ...args, '-o', 'json']);
      const { changes, summary } = JSON.parse(out || '{}') as { changes: Json[]; summary: Json };
      return {
        code,
        err,
        changes: changes?.map((each) => `${each.change} ${each.from.name} ${each.to.name}`),
        summary,
      };
    };
    const document = { file, text };
    try {
      assert.equal(await ask(), '200');
      const change = 'ops/client server.ops:80';
      await until('the flow is remembered', async () => (await simulated('-f', file)).summary?.flows > 0);
      const before = await simulated('-f', file);
      assert.deepEqual([before.code, before.changes], [1, [`refused ${change}`]], before.err);
      assert.deepEqual(before.summary.effects.refused, before.summary.flows);
      const same = await simulated('-f', fixture);
      assert.deepEqual([same.code, same.changes], [0, []], JSON.stringify(same));
      await lab.apply([document]);
      assert.equal(await ask(), '000');
      const after = await simulated('--delete', 'AuthorizationPolicy/ops/no-client');
      assert.deepEqual([after.code, after.changes], [0, [`allowed ${change}`]], after.err);
      await lab.delete([document]);
      assert.equal(await ask(), '200');
      const { code, out } = await runInProcess(['simulate', '--lab', lab.lab.name, '--strict', '-n', 'ops']);
      assert.equal(code, 0, out);
      assert.match(out, /^can namespace ops turn on STRICT\? yes: of \d+ flows none in plaintext/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  simulateRows(() => lab, inPod);

  test('ambientctl test: proofs hold through the API, and fail in the lab when something is in the way', {
    timeout: 150_000,
  }, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'ambient-proofs-'));
    const file = path.join(folder, 'junit.xml');
    const rules = [{ from: [{ source: { namespaces: ['in-the-way-*'] } }] }];
    const policy = { name: 'in-the-way', namespace: 'ambient-system', spec: { action: 'DENY', rules } };
    const document = { file: 'in-the-way.yaml', text: authorizationPolicy(policy) };
    const proved = async (...args: string[]) => {
      const { code, out, err } = await runInProcess(['test', '-o', 'json', '--junit-file', file, ...args]);
      const { proofs, summary } = JSON.parse(out || '{}') as { proofs: Json[]; summary: Json };
      return { code, err, proofs: proofs?.map(({ name, result }) => `${name} ${result}`), summary, first: proofs?.[0] };
    };
    try {
      const byApi = ['--kubeconfig', lab.kubeconfig(), '--image', 'ambient/echo'];
      const held = await proved(...byApi, '--test', '^(encrypted|deny|node-proxy-restart)$');
      assert.deepEqual(held.proofs, ['encrypted holds', 'deny holds', 'node-proxy-restart skipped'], held.err);
      assert.deepEqual([held.code, held.summary.actions.holds], [0, held.summary.actions.of], held.err);
      assert.match(held.err, /^\[2\/3\] deny: a DENY policy refuses by its name, and .* … holds \(/m);
      assert.match(readFileSync(file, 'utf8'), /tests="3" failures="0" errors="0" time="[\d.]+" skipped="1"/);

      await lab.apply([document]);
      const broken = ['--lab', lab.lab.name, '--test', '^same-node$', '--namespace', 'in-the-way', '--settle', '2s'];
      const failed = await proved(...broken);
      assert.deepEqual([failed.code, failed.proofs], [1, ['same-node fails']], failed.err);
      assert.match(failed.first?.reason, /^client asks near: no answer: /);
      assert.match(failed.first?.next, /^ambientctl why in-the-way-\w+\/client svc\/near\.in-the-way-\w+:80$/);
      assert.match(
        readFileSync(file, 'utf8'),
        /<testcase [^>]*name="same-node"[^>]*>\s*<failure type="proof" message="client asks near/,
      );
      const left = (await lab.get('namespaces')).map(({ metadata }) => (metadata as { name: string }).name);
      assert.deepEqual(
        left.filter((name) => /ambient-test|in-the-way/.test(name)),
        [],
      );
    } finally {
      await lab.delete([document]);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('kubectl exec and logs: programs run in a container, and what it wrote', { timeout }, async () => {
    const target = targetOfKubeconfig(lab.kubeconfig());
    const path = '/api/v1/namespaces/ops/pods/client/exec?stdout=1&stderr=1&command=sh&command=-c&command=';
    for (const execute of [overWebSocket, overSpdy]) {
      const { stdout, said } = await execute(target, `${path}${encodeURIComponent('hostname; exit 7')}`, null);
      assert.equal(stdout, 'client\n');
      assert.equal(JSON.parse(said).details.causes[0].message, '7');
    }
    const missing = await overWebSocket(target, `${path}true&container=none`, null);
    assert.match(JSON.parse(missing.said).message, /container none is not valid for pod client/);
    const log = await api.get('/api/v1/namespaces/ops/pods/server/log?tailLines=1');
    assert.deepEqual([log.status, typeof log.body], [200, 'string']);
  });

  test('the cluster through the Kubernetes API: what is written there holds as if it were applied', {
    timeout,
  }, async () => {
    assert.equal(statSync(lab.kubeconfig()).mode & 0o777, 0o600);
    const pods = '/api/v1/namespaces/ops/pods';
    const names = async () =>
      ok(await api.get(pods)).items.map((each: Json) => `${each.metadata.name} ${each.status.phase}`);
    assert.deepEqual((await names()).sort(), ['client Running', 'server Running']);
    const isEnrolled = async (name: string) => (await lab.status()).pods.find((each) => each.name === name)?.enrolled;
    const label = (mode: string | null) =>
      api.patch('strategic', '/api/v1/namespaces/ops', {
        metadata: { labels: { 'ambient.mesh/dataplane-mode': mode } },
      });
    ok(await label(null));
    await until('outside the mesh', async () => (await isEnrolled('client')) === false);
    ok(await label('ambient'));
    await until('enrolled', async () => (await isEnrolled('client')) === true);
    await lab.waitInStep(30_000);

    const policies = '/apis/security.istio.io/v1/namespaces/ops/authorizationpolicies';
    const policy = (spec: object): Json => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'nobody' },
      spec,
    });
    const wrong = await api.post(policies, policy({ action: 'REFUSE' }));
    refused(wrong, 422, 'Invalid', /spec\.action: must be one of .*REFUSE/);
    ok(await api.patch('apply', `${policies}/nobody?fieldManager=test`, policy({ action: 'DENY', rules: [{}] })), 201);
    await until('denied', async () => (await ask()) === '000');
    ok(await api.delete(`${policies}/nobody`));
    await until('allowed', async () => (await ask()) === '200');
    assert.equal((await api.get(pods, { token: null })).status, 403);
  });

  test('a pod that is deleted through the API ends, and is seen to', { timeout }, async () => {
    const pods = '/api/v1/namespaces/ops/pods';
    const body = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'passing' },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'x', command: ['sleep', '60'] }] },
    };
    const made = ok(await api.post(pods, body), 201);
    const query = `watch=1&fieldSelector=metadata.name%3Dpassing&resourceVersion=${made.metadata.resourceVersion}`;
    const watch = await api.watch(`${pods}?${query}`);
    let event = await watch.next();
    while (event !== null && event.object.status.phase !== 'Running') event = await watch.next();
    // Nobody's grace is so short that the kubelet is not asked.
    const ending = ok(await api.delete(`${pods}/passing?gracePeriodSeconds=0`));
    assert.notEqual(ending.metadata.deletionTimestamp, undefined);
    while (event !== null && event.type !== 'DELETED') event = await watch.next();
    watch.close();
    assert.equal(event?.type, 'DELETED');
    await lab.waitInStep(30_000);
  });

  test('status of the controller names the manifests that a person wrote', { timeout }, async () => {
    const status = (await lab.admin('controller', '', '/status')) as StatusView;
    assert.deepEqual(
      status.sources.map(({ path: source, ok }) => [source, ok]),
      [
        [fixture, true],
        [simulatedFixture, true],
      ],
    );
    assert.deepEqual(
      status.proxies.map(({ kind, node, inStep }) => [kind, kind === 'node' ? node : '', inStep]).sort(),
      [
        ['node', 'node-1', true],
        ['node', 'node-2', true],
        ['waypoint', '', true],
      ],
    );
  });

  test('a rolling restart of a node proxy loses no connection', { timeout }, async () => {
    const old = ((await lab.admin('node', 'node-1', '/config_dump')) as NodeDump).pid;
    const script = `
      const { get } = require('node:http');
      const end = Date.now() + 4000;
      let fine = 0, failed = 0, last = '';
      const answered = (r, done) => { r.resume(); r.on('end', () => { fine++; done(); }); };
      const one = (done) => get({ host: 'server', agent: false }, (r) => answered(r, done))
        .on('error', (e) => { failed++; last = e.code; done(); });
      const report = () => console.log(JSON.stringify({ fine, failed, last }));
      const loop = () => Date.now() < end ? one(loop) : --running || report();
      let running = 8;
      for (let i = 0; i < 8; i++) loop();`;
    const load = inClient(`node -e "${script.replaceAll('"', '\\"')}"`);
    await lab.restart({ kind: 'node', name: 'node-1' }, { rolling: true });
    assert.notEqual(((await lab.admin('node', 'node-1', '/config_dump')) as NodeDump).pid, old);
    const { fine, failed, last } = JSON.parse(await load) as { fine: number; failed: number; last: string };
    assert(fine > 10, `${fine} connections`); // few, for a machine that is busy with other tests
    assert.equal(failed, 0, last);
  });

  test('a killed node proxy and a killed controller come back', { timeout }, async () => {
    await lab.restart({ kind: 'node', name: 'node-2' }, { kill: true });
    await lab.restart({ kind: 'controller' }, { kill: true });
    await lab.waitInStep(20_000);
    assert.equal(await ask(), '200');
  });

  test('a cut link, a partition and loss of everything stop traffic between nodes until they are healed', {
    timeout,
  }, async () => {
    const faults = [
      { type: 'cut', node: 'node-2' },
      { type: 'partition', node: 'node-1', peer: 'node-2' },
      { type: 'loss', node: 'node-2', ratio: 1 },
    ] as const;
    for (const fault of faults) {
      await lab.fault(fault);
      assert.equal(await ask(1), '000', fault.type);
      await lab.fault({ type: 'heal', node: 'node-2' });
      await until(`healed after ${fault.type}`, async () => (await ask(1)) === '200');
    }
    await assert.rejects(
      lab.fault({ type: 'cut', node: 'nobody' }),
      /node nobody is not there; there are: node-1, node-2/,
    );
  });

  test('a stopped controller does not answer, and goes on where it was', { timeout }, async () => {
    await lab.fault({ type: 'stop', part: { kind: 'controller' } });
    assert.equal(await ask(), '200', 'traffic does not need it');
    // In the words of who did not wait for the answer.
    await assert.rejects(
      lab.waitInStep(300),
      /the lab took longer than 300 ms; the controller or a proxy does not answer/,
    );
    await lab.fault({ type: 'cont', part: { kind: 'controller' } });
    await lab.waitInStep(20_000);
  });

  test('a token is that of the account, bound to the pod that is named', { timeout }, async () => {
    const token = await lab.token('ops', 'default', { pod: 'client', audience: 'somebody' });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    assert.deepEqual([claims.aud, claims.sub], [['somebody'], 'system:serviceaccount:ops:default']);
    assert.equal(claims['kubernetes.io'].pod.name, 'client');
    await assert.rejects(lab.token('ops', 'nobody'), /service account ops\/nobody is not there/);
  });
});

describe('a lab ends', () => {
  const bare = path.join(import.meta.dirname, 'fixtures/plain.yaml');

  /** Starts a lab in a process of its own, which holds it in the foreground. */
  async function startedElsewhere(name: string): Promise<{ starter: ChildProcess; lab: LabSummary }> {
    const launch = path.join(import.meta.dirname, '../../src/lab/launch.ts');
    const script = `import { launchLab } from '${launch}';
      await launchLab({ name: '${name}', paths: ['${bare}'], mesh: false, foreground: true });
      console.log('up'); setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => starter.stdout.once('data', resolve));
    return { starter, lab: findLab(name).lab };
  }

  const ways: [string, (starter: ChildProcess, lab: LabSummary) => void][] = [
    ['when its starter in the foreground is killed', (starter) => starter.kill('SIGKILL')],
    ['by SIGTERM', (_, lab) => process.kill(lab.hostPid, 'SIGTERM')],
    ['by SIGINT', (_, lab) => process.kill(lab.hostPid, 'SIGINT')],
    ['by SIGKILL', (_, lab) => process.kill(lab.hostPid, 'SIGKILL')],
  ];
  for (const [title, end] of ways) {
    test(`${title}: every process of it is gone`, { timeout }, async () => {
      const { starter, lab } = await startedElsewhere(`end-${process.pid}`);
      const pids = processesOf(lab);
      assert(pids.length > 6, `${pids.length} processes`);
      end(starter, lab);
      await until('all gone', () => pids.every(isGone));
      assert.equal(
        listLabs().some((each) => each.name === lab.name),
        false,
      );
      starter.kill('SIGKILL');
    });
  }

  test('a second lab of the same name is refused; one of another name stands beside it', { timeout }, async () => {
    const name = `two-${process.pid}`;
    const options = { paths: [bare], mesh: false, foreground: true };
    const first = await launchLab({ ...options, name });
    await assert.rejects(launchLab({ ...options, name }), /runs already; end it with: ambientctl lab down/);
    const second = await launchLab({ ...options, name: `${name}-b` });
    assert.deepEqual(
      (await first.status()).nodes.map((node) => node.addresses[0]),
      (await second.status()).nodes.map((node) => node.addresses[0]),
    );
    await Promise.all([first.down(), second.down()]);
  });
});
