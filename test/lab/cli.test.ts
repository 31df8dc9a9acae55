// `ambientctl` against a real lab: the sample shop is brought up, looked into, changed, broken and ended by command
// lines alone.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { EdgeSummary } from '../../src/analyze/edge-summary.ts';

const root = path.join(import.meta.dirname, '../..');
const program = path.join(root, 'src/bin/ambientctl.ts');
const shop = path.join(root, 'deploy/samples/shop');
const lab = `cli-${process.pid}`;
const folder = mkdtempSync(path.join(tmpdir(), 'ambient-cli-'));

interface Output {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], { env: { ...process.env, AMBIENT_LAB: lab } });
}

async function finish(child: ChildProcess, input = ''): Promise<Output> {
  const text = { out: '', err: '' };
  child.stdout?.on('data', (chunk) => (text.out += chunk));
  child.stderr?.on('data', (chunk) => (text.err += chunk));
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const [code] = await once(child, 'close');
  return { code, ...text };
}

const ctl = (...args: string[]): Promise<Output> => finish(start(...args));

async function json(...args: string[]) {
  const { code, out, err } = await ctl(...args, '-o', 'json');
  assert.match(err, /^(next: .*\n)?$/, `talk of ${args.join(' ')}`);
  return { code, data: JSON.parse(out) };
}

/** Asks again until `check` holds: for what takes a moment to show, such as traffic. */
async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(250)) {
    if (await check()) return;
  }
  assert.fail(`${what} did not happen in 20 s`);
}

function manifest(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('ambientctl on a lab', () => {
  before(async () => {
    const { code, out, err } = await ctl('lab', 'up', lab, '-f', shop);
    assert.equal(code, 0, err);
    assert.equal(out, `lab ${lab} is ready: 2 nodes, 7 pods, every proxy in step\n`);
    assert.match(err, /next: ambientctl lab status/);
  });
  after(async () => {
    await ctl('lab', 'down', lab);
    rmSync(folder, { recursive: true });
  });

  test('lab list and lab status', async () => {
    assert.match((await ctl('lab', 'list')).out, new RegExp(`^${lab} `, 'm'));
    const { code, data } = await json('lab', 'status');
    assert.equal(code, 0);
    assert.equal(data.pods.length, 7 + 2, 'the pods of the shop, and the two of the mesh');
    assert.ok(data.pods.every((pod: { ready: boolean }) => pod.ready));
    const legacy = data.pods.find((pod: { namespace: string }) => pod.namespace === 'legacy');
    assert.equal(legacy.enrolled, false);
  });

  test('status: both proxies in step, exit 0', async () => {
    const { code, data } = await json('status');
    assert.equal(code, 0, JSON.stringify(data));
    assert.deepEqual(data.proxies.map((proxy: { node: string }) => proxy.node).toSorted(), ['node-1', 'node-2']);
    assert.ok(data.proxies.every((proxy: { inStep: boolean; ready: boolean }) => proxy.inStep && proxy.ready));
  });

  test('config: live, and the same from a saved dump', async () => {
    const all = await ctl('config', 'all', '--node', 'node-1', '-o', 'json');
    const file = manifest('dump.json', all.out);
    for (const view of ['workloads', 'services', 'policies']) {
      const live = await ctl('config', view, '--node', 'node-1');
      assert.equal(live.code, 0, live.err);
      assert.equal((await ctl('config', view, '-f', file)).out, live.out);
    }
    const { data } = await json('config', 'workloads', '--node', 'node-2');
    const names = data.map((one: { workloadName: string }) => one.workloadName);
    for (const name of ['web', 'catalog', 'cart', 'checkout', 'payments', 'inventory', 'legacy'])
      assert.ok(names.includes(name), name);
    const certs = await json('config', 'certs', '--node', 'node-1');
    assert.ok(certs.data.some((one: { identity: string }) => one.identity === 'spiffe://cluster.local/ns/shop/sa/web'));
    assert.equal((await ctl('config', 'workloads', '--node', 'node-9')).code, 1);
    assert.equal((await ctl('config', 'workloads')).code, 2);
  });

  test('-l and -o name: what labels mean, live', async () => {
    const names = await ctl('lab', 'get', 'pods', '-l', 'app in (web,cart),version=v1', '-o', 'name');
    assert.match(names.out, /^pod\/cart-\S+\npod\/web-\S+\n$/);
    const workloads = await ctl('config', 'workloads', '--node', 'node-1', '-l', 'app in (web,cart)', '-o', 'name');
    assert.deepEqual(workloads.out.split('\n').toSorted(), names.out.split('\n').toSorted());
    const { data } = await json('status', '-l', 'kubernetes.io/hostname=node-2');
    assert.deepEqual(
      data.proxies.map(({ node }: { node: string }) => node),
      ['node-2'],
    );
    const dry = await ctl('enroll', '-l', 'kubernetes.io/metadata.name=legacy', '--dry-run', '-o', 'name');
    assert.equal(dry.out, 'namespace/legacy\n', dry.err);
    const seen = await json('edges', '-l', 'app=web');
    assert.ok(seen.data.edges.every(({ from, to }: EdgeSummary) => from.workload === 'web' || to.workload === 'web'));
  });

  test('why: exit 0 for allow, 1 for deny, live and offline alike', async () => {
    for (const where of [[], ['-f', shop]]) {
      const allow = await json('why', '-n', 'shop', 'deploy/checkout', 'svc/payments.shop', ...where);
      assert.deepEqual([allow.code, allow.data.verdict, allow.data.transport], [0, 'allow', 'mtls']);
      const deny = await json('why', '-n', 'shop', 'deploy/web', 'svc/payments.shop', ...where);
      assert.deepEqual([deny.code, deny.data.verdict, deny.data.layer], [1, 'deny', 'L4']);
      assert.equal(deny.data.decidedBy.name, 'payments-never-from-web');
    }
    for (const where of [[], ['-f', shop]]) {
      const { data } = await json('why', '-n', 'legacy', 'deploy/legacy', 'svc/payments.shop', ...where);
      assert.deepEqual(data.decidedBy, { kind: 'PeerAuthentication', namespace: 'shop', name: 'payments', rule: null });
    }
    const words = await ctl('why', '-n', 'shop', 'deploy/web', 'svc/payments.shop');
    assert.match(
      words.out,
      /^denied: shop\/web.* may not reach service .*payments.* refused by AuthorizationPolicy shop\//,
    );
  });

  test('why: what is happening on the way, and a proxy that hangs is named', async () => {
    const refused = ['why', '-n', 'shop', 'deploy/web', 'svc/payments.shop'];
    await eventually('a refusal of web', async () => {
      const { data } = await json(...refused);
      return data.seen?.lastRefusal?.decidedBy === 'shop/payments-never-from-web';
    });
    await ctl('lab', 'fault', 'stop', 'node/node-2');
    try {
      const { data } = await json('why', '-n', 'shop', 'deploy/checkout', 'svc/payments.shop');
      assert.match(data.reasons.join('\n'), /^the node proxy of node-2 (does not answer|is down)/m);
      const [endpoint] = data.endpoints;
      assert.deepEqual([endpoint.service, endpoint.state, data.endpoints.length], ['payments.shop', 'ready', 1]);
      assert.deepEqual(data.proxies.map((one: { name: string }) => one.name).sort(), ['node-1', 'node-2']);
    } finally {
      await ctl('lab', 'fault', 'heal');
    }
  });

  test('edges: encrypted, refused by name, plaintext', async () => {
    await eventually('traffic on every kind of edge', async () => {
      const { data } = await json('edges');
      const seen = (from: string, to: string) =>
        data.edges.find(
          (edge: { from: { workload: string }; to: { workload: string } }) =>
            edge.from.workload === from && edge.to.workload === to,
        );
      const mtls = seen('web', 'catalog');
      return (
        mtls?.transport === 'mtls' &&
        mtls.bytesReceived > 0 &&
        seen('web', 'payments')?.refused > 0 &&
        seen('legacy', 'catalog')?.transport === 'plaintext'
      );
    });
    assert.match((await ctl('edges')).out, /^shop\/web +shop\/catalog +mTLS +shop\/web > shop\/catalog /m);
  });

  test('lab exec: stdin, stdout, stderr and the exit code pass through', async () => {
    const child = start('lab', 'exec', '-n', 'shop', 'deploy/web', '--', 'sh', '-c', 'cat; echo talk >&2; exit 7');
    const { code, out, err } = await finish(child, 'some input\n');
    assert.deepEqual([code, out, err], [7, 'some input\n', 'talk\n']);
    const ask = `fetch('http://catalog/').then((r) => r.json()).then((b) => console.log(b.pod, b.node))`;
    const answer = await ctl('lab', 'exec', '-n', 'shop', 'deploy/web', '--', process.execPath, '-e', ask);
    assert.match(answer.out, /^catalog-\S+ node-2\n$/, answer.err);
  });

  test('lab exec on a terminal: a shell has it, with its signals, and its exit code passes through', async () => {
    const argv = [process.execPath, program, 'lab', 'exec', '--lab', lab, '-n', 'shop', 'deploy/web', '--', 'sh'];
    const child = spawn('script', ['-qec', argv.join(' '), '/dev/null'], { env: process.env });
    let shown = '';
    const says = async (text: RegExp): Promise<void> => {
      while (!text.test(shown)) shown += (await once(child.stdout, 'data'))[0];
    };
    // One program from the word on: between two, a signal would hit the shell alone, and the other would run on.
    child.stdin.write(`sh -c 'echo here: $(hostname); exec sleep 60'\n`);
    await says(/here: web-/);
    child.stdin.write('');
    child.stdin.write('echo code: $?\n');
    await says(/code: 130/);
    child.stdin.write('exit 6\n');
    assert.deepEqual(await once(child, 'exit'), [6, null], shown);
  });

  test('lab shell: in the namespace of a node', async () => {
    const { code, out } = await ctl('lab', 'shell', 'node/node-1', '--', 'ip', '-o', 'addr');
    assert.equal(code, 0);
    assert.match(out, /10\.80\.0\.11\//);
  });

  const denyCart = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-cart, namespace: shop }
spec:
  selector: { matchLabels: { app: cart } }
  action: DENY
  rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }] }]
`;

  test('lab apply and delete: in force when they return; what is refused is named and changes nothing', async () => {
    const verdict = async (): Promise<string> =>
      (await json('why', '-n', 'shop', 'deploy/web', 'svc/cart.shop')).data.verdict;
    assert.equal(await verdict(), 'allow');
    const bad = await ctl('lab', 'apply', '-f', manifest('bad.yaml', denyCart.replace('DENY', 'DENIED')));
    assert.equal(bad.code, 1, bad.err);
    assert.equal(bad.out, '', 'what was refused is no data');
    assert.match(bad.err, /^error AuthorizationPolicy shop\/no-cart \(\S*bad\.yaml:\d+:\d+\): spec\.action .*"DENIED"/);
    assert.match(bad.err, /nothing was changed\n$/);
    assert.equal(await verdict(), 'allow');
    const good = await ctl('lab', 'apply', '-f', manifest('good.yaml', denyCart));
    assert.deepEqual([good.code, good.out], [0, 'AuthorizationPolicy shop/no-cart created\n'], good.err);
    assert.equal(await verdict(), 'deny');
    assert.match((await ctl('lab', 'get', 'authorizationpolicies', 'no-cart', '-n', 'shop')).out, /no-cart +DENY/);
    assert.equal((await ctl('lab', 'delete', '-f', path.join(folder, 'good.yaml'))).code, 0);
    assert.equal(await verdict(), 'allow');
    assert.equal((await ctl('lab', 'apply', '-f', '/nonexistent.yaml')).code, 2);
  });

  test('a kind that nobody knows is said to be ignored, when it is applied and in status', async () => {
    const widget = manifest(
      'widget.yaml',
      'apiVersion: example.com/v1\nkind: Widget\nmetadata: { name: w, namespace: shop }\n',
    );
    const applied = await ctl('lab', 'apply', '-f', widget);
    assert.deepEqual([applied.code, applied.out], [0, 'Widget shop/w created\n']);
    assert.match(
      applied.err,
      /^info Widget shop\/w \(.*widget\.yaml:1:1\): this kind is kept and ignored \[AMB0002\]\n$/,
    );
    assert.match((await ctl('status')).out, /^ignored in lab apply: 1 Widget$/m);
    assert.equal((await ctl('lab', 'delete', '-f', widget)).out, 'Widget shop/w deleted\n');
    assert.doesNotMatch((await ctl('status')).out, /Widget/);
  });

  test('lab get and lab token', async () => {
    const pods = await ctl('lab', 'get', 'pods', '-n', 'shop');
    assert.match(pods.out, /^shop +web-\S+ +yes +Running +10\.244\.1\.\d+ +node-1 /m);
    assert.match((await ctl('lab', 'get', 'pods', '-A')).out, /^legacy +legacy-\S+ /m);
    assert.equal((await ctl('lab', 'get', 'frobs')).code, 1);
    assert.equal((await ctl('lab', 'get', 'pods', 'nosuch', '-n', 'shop')).code, 1);
    const { out } = await ctl('lab', 'token', 'shop/web', '--audience', 'somebody');
    const claims = JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString());
    assert.equal(claims.sub, 'system:serviceaccount:shop:web');
    assert.deepEqual([claims.aud].flat(), ['somebody']);
  });

  test('lab logs: of a pod, of a proxy, and followed until Ctrl-C', async () => {
    assert.match((await ctl('lab', 'logs', '-n', 'shop', 'deploy/web')).out, /echo: shop\/web-\S+ serves 8080/);
    assert.match((await ctl('lab', 'logs', '--access', 'node/node-1')).out, /catalog/);
    assert.equal((await ctl('lab', 'logs', 'lab')).code, 0);
    for (const nobody of ['shop/nosuch', 'shop/deploy/nosuch', 'node/nosuch']) {
      const absent = await ctl('lab', 'logs', nobody);
      assert.deepEqual([absent.code, /nosuch is not there/.test(absent.err)], [1, true], absent.err);
    }
    const child = start('lab', 'logs', '-f', '--access', 'node/node-1');
    const result = finish(child);
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    assert.equal((await result).code, 0);
  });

  test('log: a level is set for a time, shown, and set back', async () => {
    const set = await json('log', 'node/node-1', '--level', 'debug', '--duration', '10m');
    assert.deepEqual([set.code, set.data.parts[0].level, set.data.parts[0].until !== null], [0, 'debug', true]);
    assert.match((await ctl('log')).out, /^node\/node-1 +debug +info +[89]m$/m);
    const all = await json('log', '--all', '-r');
    assert.deepEqual(
      [all.data.parts.length, all.data.parts.every((one: { level: string }) => one.level === 'info')],
      [3, true],
    );
  });

  const planted = (canary: (name: string) => string): string => `apiVersion: v1
kind: Secret
metadata: { name: db, namespace: shop }
stringData: { password: ${canary('secret')} }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: keys, namespace: shop, annotations: { jdbc: "db://u:${canary('annotation')}@x/y" } }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart }]
  rules:
    - filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: { set: [{ name: authorization, value: "Basic ${canary('header')}" }] }
---
apiVersion: v1
kind: Pod
metadata: { name: leaky, namespace: legacy, labels: { app: leaky } }
spec:
  containers:
    - name: c
      image: ambient/echo
      env: [{ name: DB_URL, value: "postgres://u:${canary('env')}@db/x" }, { name: CALLS, value: "" }]
`;

  test('sysdump: what was planted is not in it, and other commands read it', async () => {
    const canaries: string[] = [];
    const canary = (name: string): string => {
      canaries.push(`Canary${name}9Zx7Qw`);
      return canaries.at(-1)!;
    };
    const file = manifest('planted.yaml', planted(canary));
    assert.equal((await ctl('lab', 'apply', '-f', file)).code, 0);
    const token = (await ctl('lab', 'token', 'shop/web')).out.trim();
    const headers = `{ headers: { authorization: 'Bearer ${token}', cookie: 's=${canary('cookie')}' } }`;
    const ask = `fetch('http://catalog/?access_token=${canary('query')}', ${headers})`;
    await ctl('lab', 'exec', '-n', 'shop', 'deploy/web', '--', process.execPath, '-e', ask);
    const archive = path.join(folder, 'dump.tar.gz');
    const made = await ctl('sysdump', '-o', archive);
    assert.deepEqual([made.code, made.out], [0, `${archive}\n`], made.err);
    const bytes = gunzipSync(readFileSync(archive));
    const found = [...canaries, token].filter((one) => bytes.includes(one));
    assert.deepEqual(found, []);
    assert.equal(spawnSync('tar', ['-xzf', archive, '-C', folder]).status, 0);
    const inside = (name: string): string => path.join(folder, 'dump', name);
    const { data } = await json('config', 'workloads', '-f', inside('proxies/node/node-1/config_dump.json'));
    assert.equal(
      data.some(({ name }: { name: string }) => name === 'leaky'),
      true,
    );
    const why = await json('why', '-f', inside('objects'), '-n', 'shop', 'deploy/web', 'svc/payments.shop');
    assert.equal(why.data.verdict, 'deny');
    assert.equal((await ctl('lab', 'delete', '-f', file)).code, 0);
  });

  test('tap: what was seen, and what comes until Ctrl-C', async () => {
    const seen = await ctl('tap', '--to-service', 'payments.shop', '--verdict', 'refused', '--last', '1');
    assert.deepEqual([seen.code, seen.err], [0, ''], seen.err);
    const child = start('tap', '-f', '-o', 'json', '-n', 'shop');
    const result = finish(child);
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    const { code, out, err } = await result;
    assert.deepEqual([code, err], [0, ''], err);
    const flow = JSON.parse(out.slice(0, out.indexOf('\n')));
    assert.equal([flow.source.namespace, flow.destination.namespace].includes('shop'), true);
    assert.match(flow.reporter.name, /^node-[12]$/);
  });

  test('check, stat, top and analyze: on the lab that runs', async () => {
    const { data } = await json('stat', 'services', '-n', 'shop');
    const names = data.services.map(({ name }: { name: string }) => name);
    assert.equal(names.includes('shop/payments'), true, names.join());
    assert.match((await ctl('top', '--once', '-n', 'shop')).out, /^FROM > TO WHAT .*\n.*shop\//);
    const checked = await ctl('check', '--wait', '20s');
    assert.deepEqual([checked.code, /^Status check results are √$/m.test(checked.out)], [0, true], checked.out);
    const analyzed = await ctl('analyze');
    assert.equal(analyzed.code, 0, analyzed.out);
    // `legacy` is outside on purpose, and what it calls in plaintext may have been seen.
    assert.match(analyzed.out, /^info Namespace legacy .*\[AMB1033\]$/m);
    assert.match(analyzed.err, /^0 errors, [01] warnings?, 1 remark in \d+ objects;/m);
  });

  test('enroll, waypoint, unenroll: each says what it did, and it is so when it returns', async () => {
    const tunnel = async (): Promise<string> => {
      const { data } = await json('config', 'workloads', '--node', 'node-1', '-n', 'legacy');
      return data[0].tunnelProtocol;
    };
    const slip = await ctl('enroll', 'legcy');
    assert.deepEqual([slip.code, /did you mean legacy/.test(slip.err)], [1, true], slip.err);
    const dry = await ctl('enroll', 'legacy', '--dry-run');
    assert.deepEqual([dry.code, /^ +ambient\.mesh\/dataplane-mode: ambient$/m.test(dry.out)], [0, true], dry.err);
    assert.equal(await tunnel(), 'NONE');
    const enrolled = await ctl('enroll', 'ns/legacy', '--wait', '--timeout', '30s');
    assert.deepEqual([enrolled.code, /^1 pod joins the mesh$/m.test(enrolled.err)], [0, true], enrolled.err);
    assert.equal(await tunnel(), 'HBONE');
    const made = await ctl('waypoint', 'apply', '-n', 'legacy', '--enroll-namespace', '--wait');
    assert.deepEqual([made.code, /^waypoint legacy\/waypoint created$/m.test(made.out)], [0, true], made.err);
    const status = await json('waypoint', 'status', '-n', 'legacy');
    assert.deepEqual([status.code, status.data.waypoints[0].usedBy], [0, ['namespace/legacy']]);
    const used = await ctl('waypoint', 'delete', 'waypoint', '-n', 'legacy');
    assert.deepEqual([used.code, /still used/.test(used.err)], [2, true], used.err);
    assert.equal((await ctl('unenroll', 'legacy', '--waypoint')).code, 0);
    assert.equal(
      (await ctl('waypoint', 'delete', 'waypoint', '-n', 'legacy')).out,
      'waypoint legacy/waypoint deleted\n',
    );
    assert.equal((await ctl('unenroll', 'legacy', '--wait', '--timeout', '30s')).code, 0);
    assert.equal(await tunnel(), 'NONE');
  });

  test('lab fault and lab restart', async () => {
    assert.equal((await ctl('lab', 'fault', 'cut', 'node-2')).code, 0);
    assert.equal((await ctl('lab', 'fault', 'heal', 'node-2')).code, 0);
    assert.equal((await ctl('lab', 'fault', 'cut', 'node-9')).code, 1);
    const restarted = await ctl('lab', 'restart', 'node/node-2', '--kill');
    assert.deepEqual([restarted.code, restarted.out], [0, 'node/node-2 was restarted and is ready\n'], restarted.err);
    await eventually('everything in step again', async () => (await ctl('status')).code === 0);
  });

  test('version and completion know the lab', async () => {
    const { data } = await json('version');
    assert.equal(data.lab.name, lab);
    assert.equal(data.lab.proxies.length, 2);
    assert.equal((await ctl('__complete', '--', 'config', 'certs', '--node', '')).out, 'node-1\tnode\nnode-2\tnode\n');
    assert.match((await ctl('__complete', '--', 'lab', 'exec', 'shop/w')).out, /^shop\/web-\S+\tpod on node-1\n$/);
    assert.equal(
      (await ctl('__complete', '--', 'lab', 'exec', '-n', 'shop', 'deploy/w')).out,
      'deploy/web\ta pod of it\n',
    );
    assert.match((await ctl('__complete', '--', 'why', 'svc/pay')).out, /^svc\/payments\.shop\tservice\n$/);
  });

  test('Ctrl-C while a lab starts leaves nothing of it', async () => {
    const other = `${lab}-x`;
    const child = start('lab', 'up', other, '-f', shop);
    const result = finish(child);
    await once(child.stderr!, 'data');
    child.kill('SIGINT');
    const { code, err } = await result;
    const said = `interrupted while waiting for lab ${other}; nothing of it is left\n`;
    assert.deepEqual([code, err.endsWith(said)], [130, true], err);
    assert.doesNotMatch((await ctl('lab', 'list')).out, new RegExp(`^${other} `, 'm'));
  });

  test('the demo: every edge as the samples say, requests as the waypoint makes them, and nothing left', {
    timeout: 120_000,
  }, () => {
    const demo = path.join(root, 'src/cli/demo.ts');
    const { status, stdout, stderr } = spawnSync(process.execPath, [demo, '--once'], {
      encoding: 'utf8',
      timeout: 110_000,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^FROM +TO +CARRIED +IDENTITIES/);
    assert.match(stderr, /9 of 9 edges carry traffic as the samples say/);
    assert.match(stdout, /^FROM +TO +ANSWERED BY +REQUESTS/m);
    assert.deepEqual(stderr.match(/^(yes|NO): [^:]*/gm), [
      'yes: checkout v2 gets one request in ten',
      'yes: payments fails one request in five, the shop stays green, and no order is charged twice',
      'yes: inventory is slow by 300 ms, and the table says where the time went',
    ]);
  });
});
