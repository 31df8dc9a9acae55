// What the lab gives to pods as a cluster would, without a mesh: names, files, services, probes, restarts, rollouts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LabClient } from '../../src/lab/control-client.ts';
import type { LabPod } from '../../src/lab/control-types.ts';
import { enterCommand, signalEntered } from '../../src/lab/enter.ts';
import { launchLab } from '../../src/lab/launch.ts';

const fixtures = path.join(import.meta.dirname, 'fixtures');
const timeout = 60_000;

interface Output {
  readonly code: number | null;
  readonly out: string;
}

describe('pods of a lab without a mesh', () => {
  let lab: LabClient;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'ambient-test-'));
    for (const name of ['plain.yaml', 'pods.yaml']) {
      writeFileSync(path.join(folder, name), readFileSync(path.join(fixtures, name)));
    }
    const options = { name: `pods-${process.pid}`, paths: [folder], mesh: false, foreground: true };
    // `gate` stays unready until its test opens it, so the lab is up but not ready.
    await assert.rejects(
      launchLab({ ...options, timeoutMs: 2_500, keepOnFailure: true }),
      /pod pods\/gate is not ready/,
    );
    const { findLab } = await import('../../src/lab/control-client.ts');
    lab = findLab(options.name);
  });
  after(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  async function inPod(
    ns: string,
    name: string,
    argv: readonly string[],
    input = '',
    container?: string,
  ): Promise<Output> {
    const target = await lab.target('pod', ns, name, container);
    const { command, args } = enterCommand(target, argv);
    const child = spawn(command, args, { env: target.env });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stdin.on('error', () => {}); // The program may end before it has read its input.
    child.stdin.end(input);
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, out: Buffer.concat(chunks).toString() };
  }

  const shell = async (ns: string, name: string, script: string) =>
    (await inPod(ns, name, ['sh', '-c', script])).out.trim();
  const get = async (url: string, from = 'client') =>
    await shell('plain', from, `curl -s -m 5 '${url}' || echo failed $?`);

  async function podsOf(owner: string): Promise<LabPod[]> {
    return (await lab.status()).pods.filter((pod) => pod.owner?.name === owner && pod.reason !== 'Terminating');
  }

  async function until(what: string, check: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 15_000;
    while (!(await check())) {
      assert(performance.now() < deadline, what);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  test('a pod has its host name, hosts, resolv.conf, environment and working directory', { timeout }, async () => {
    assert.equal(await shell('pods', 'full', 'hostname'), 'full');
    const address = (await lab.status()).pods.find((pod) => pod.name === 'full')?.addresses[0];
    assert.equal(await shell('pods', 'full', 'echo $IP $TIER $COLOUR'), `${address} top blue`);
    assert.equal(await shell('pods', 'full', 'echo "$COMPOSED"'), 'is plain, not $(UNKNOWN), $(PLAIN)');
    assert.equal(await shell('pods', 'full', 'pwd'), '/usr');
    assert.match(
      await shell('pods', 'full', 'cat /etc/hosts'),
      new RegExp(`${address} full\n[^]*192.0.2.7 elsewhere.example`),
    );
    assert.match(
      await shell('pods', 'full', 'cat /etc/resolv.conf'),
      /nameserver 10\.96\.0\.10\nsearch pods\.svc\.cluster\.local /,
    );
    assert.equal(
      await shell('pods', 'full', 'ls -d /run/ambient 2>/dev/null'),
      '',
      "the lab's own files are not there",
    );
  });

  test('volumes: shared folder of an init container, ConfigMap, tokens with their audience', { timeout }, async () => {
    const { out } = await inPod('pods', 'full', ['cat', '/run/shared/marker'], '', 'beside');
    assert.equal(out.trim(), 'prepared');
    assert.equal(await shell('pods', 'full', 'cat /etc/settings/greeting'), 'hello from a file');
    const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const vault = claims(await shell('pods', 'full', 'cat /var/run/secrets/tokens/vault'));
    assert.deepEqual(vault.aud, ['vault']);
    assert.equal(vault.exp - vault.iat, 1200);
    const own = claims(await shell('pods', 'full', 'cat /var/run/secrets/kubernetes.io/serviceaccount/token'));
    assert.equal(own.sub, 'system:serviceaccount:pods:reader');
    assert.equal(own['kubernetes.io'].pod.name, 'full');
    assert.equal(own['kubernetes.io'].node.name, 'node-1');
    assert.equal(await shell('pods', 'full', 'cat /run/secrets/kubernetes.io/serviceaccount/namespace'), 'pods');
  });

  test('exec passes stdin, the exit code and signals through', { timeout }, async () => {
    assert.deepEqual(await inPod('plain', 'client', ['cat'], 'through\n'), { code: 0, out: 'through\n' });
    assert.equal((await inPod('plain', 'client', ['sh', '-c', 'exit 42'])).code, 42);
    const target = await lab.target('pod', 'plain', 'client');
    const { command, args } = enterCommand(target, [
      'sh',
      '-c',
      'trap "exit 7" TERM; echo set; while :; do sleep 0.05; done',
    ]);
    const child = spawn(command, args, { env: target.env, stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    signalEntered(child, 'SIGTERM');
    assert.equal(await new Promise((resolve) => child.on('exit', resolve)), 7);
  });

  test('cluster DNS: short and long names, headless sets, SRV, PTR, and a clear no', { timeout }, async () => {
    const lookup = async (expression: string) => {
      const script = `require('node:dns').promises.${expression}.then((r) => console.log(JSON.stringify(r)), (e) => console.log(e.code))`;
      return JSON.parse(
        await shell('plain', 'client', `node -e "${script}" | sed 's/^\\([A-Z]*\\)$/"\\1"/'`),
      ) as unknown;
    };
    const [service] = (await lab.get('svc', 'web', 'plain')) as { spec: { clusterIP: string } }[];
    const clusterIp = service?.spec.clusterIP;
    for (const name of ['web', 'web.plain', 'web.plain.svc', 'web.plain.svc.cluster.local']) {
      assert.equal(
        await shell('plain', 'client', `getent ahostsv4 ${name} | head -1 | cut -d' ' -f1`),
        clusterIp,
        name,
      );
    }
    const pods = await podsOf('web');
    const addresses = pods.map((pod) => pod.addresses[0]).sort();
    const headless = (await lookup("resolve4('web-headless.plain.svc.cluster.local')")) as string[];
    assert.deepEqual(headless.sort(), addresses);
    const srv = (await lookup("resolveSrv('_http._tcp.web.plain.svc.cluster.local')")) as {
      port: number;
      name: string;
    }[];
    assert.deepEqual(
      srv.map(({ port, name }) => [port, name]),
      [[80, 'web.plain.svc.cluster.local']],
    );
    assert.deepEqual(await lookup(`reverse('${clusterIp}')`), ['web.plain.svc.cluster.local']);
    assert.equal(await lookup("resolve4('nothing.plain.svc.cluster.local')"), 'ENOTFOUND');
    assert.equal(await lookup("resolve4('example.com')"), 'EREFUSED');
  });

  test('ClusterIP reaches endpoints on both nodes, from pods and from nodes', { timeout }, async () => {
    const seen = new Set<string>();
    const from = await shell('plain', 'client', 'for i in $(seq 30); do curl -s -m 5 http://web/; echo; done');
    for (const line of from.split('\n')) seen.add((JSON.parse(line) as { pod: string }).pod);
    assert.deepEqual([...seen].sort(), (await podsOf('web')).map((pod) => pod.name).sort());
    const web = (await podsOf('web'))[0]?.name ?? '';
    assert.match(
      await shell('plain', web, 'for i in $(seq 8); do curl -s -m 5 http://web/; done'),
      /"pod"/,
      'through itself too',
    );
  });

  test('NodePort of every node reaches a ready endpoint, IPv4', { timeout }, async () => {
    for (const address of ['10.80.0.11', '10.80.0.12'])
      assert.match(await get(`http://${address}:30080/`), /"pod":"web-/);
  });

  test('a service without endpoints, and an address that no pod has, refuse at once', { timeout }, async () => {
    const refused = 'failed 7';
    const started = performance.now();
    assert.equal(await get('http://nobody/'), refused);
    assert.equal(await get('http://10.244.1.200/'), refused);
    assert(performance.now() - started < 3_000, 'at once');
  });

  test('an exec probe opens and closes the way to a pod', { timeout }, async () => {
    assert.equal(await get('http://gate.pods/'), 'failed 7');
    await shell('pods', 'gate', 'touch /run/gate/open');
    await lab.waitInStep(15_000);
    assert.match(await get('http://gate.pods/'), /Directory listing/);
    await shell('pods', 'gate', 'rm /run/gate/open');
    await until('unready again', async () => (await get('http://gate.pods/')) === 'failed 7');
    await shell('pods', 'gate', 'touch /run/gate/open');
    await lab.waitInStep(15_000);
  });

  test('no probe finds a container that is still being set up: it would be restarted for that', {
    timeout,
  }, async () => {
    const volumeMounts = Array.from({ length: 60 }, (_, count) => ({
      name: 'words',
      mountPath: `/run/words/${count}`,
    }));
    const container = {
      name: 'mounted',
      command: ['sleep', '600'],
      volumeMounts,
      livenessProbe: {
        exec: { command: ['test', '-e', '/run/words/59/word'] },
        periodSeconds: 60,
        timeoutSeconds: 20,
        failureThreshold: 1,
      },
      readinessProbe: { exec: { command: ['true'] }, timeoutSeconds: 20 },
    };
    const spec = {
      terminationGracePeriodSeconds: 0,
      containers: [container],
      volumes: [{ name: 'words', configMap: { name: 'words' } }],
    };
    const metadata = { name: 'mounted', namespace: 'pods' };
    const words = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...metadata, name: 'words' },
      data: { word: 'hello' },
    };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec };
    const documents = [words, pod].map((each) => ({ file: `${each.kind}.json`, text: JSON.stringify(each) }));
    await lab.apply(documents, 30_000);
    assert.equal((await lab.status()).pods.find(({ name }) => name === 'mounted')?.restarts, 0);
    await lab.delete(documents);
  });

  test('a failing liveness probe restarts the container, and what it said is in the log', { timeout }, async () => {
    // The probe that comes first keeps a start that is slow from being taken for a failure.
    const isWell = { exec: { command: ['test', '-e', '/run/ok'] }, periodSeconds: 1, timeoutSeconds: 10 };
    const container = {
      name: 'sick',
      command: ['sh', '-c', 'echo born; touch /run/ok; exec sleep 600'],
      startupProbe: { ...isWell, failureThreshold: 60 },
      livenessProbe: { ...isWell, failureThreshold: 1 },
    };
    const spec = { terminationGracePeriodSeconds: 0, containers: [container] };
    const sick = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'sick', namespace: 'pods' }, spec };
    const document = { file: 'sick.json', text: JSON.stringify(sick) };
    await lab.apply([document], 30_000);
    await shell('pods', 'sick', 'rm /run/ok');
    const restarts = async () => (await lab.status()).pods.find((pod) => pod.name === 'sick')?.restarts ?? 0;
    await until('restarted', async () => (await restarts()) >= 1);
    const lines: string[] = [];
    for await (const line of lab.logs({ kind: 'pod', namespace: 'pods', name: 'sick' }, { follow: true })) {
      if (lines.push(line) === 2) break;
    }
    assert.deepEqual(lines, ['born', 'born']);
    await lab.delete([document]);
    assert.equal(
      (await lab.status()).pods.some((pod) => pod.name === 'sick'),
      false,
    );
  });

  test('a pod that exits is restarted with growing pauses; an unknown image says what to do', { timeout }, async () => {
    const pod = (name: string, container: object) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'pods' },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', ...container }] },
    });
    const both = [pod('crash', { command: ['sh', '-c', 'exit 3'] }), pod('strange', { image: 'registry/strange:1' })];
    const documents = both.map((each) => ({ file: `${each.metadata.name}.json`, text: JSON.stringify(each) }));
    await assert.rejects(
      lab.apply(documents, 5_000),
      /crash is not ready: exit code 3.*--image registry\/strange:1=COMMAND/s,
    );
    const state = async (name: string) => (await lab.status()).pods.find((each) => each.name === name);
    await until('two restarts', async () => ((await state('crash'))?.restarts ?? 0) >= 2);
    await lab.delete(documents);
  });

  test('a changed template replaces pods while the service answers all the time', { timeout }, async () => {
    const before_ = await podsOf('web');
    const file = path.join(folder, 'plain.yaml');
    let failures = 0;
    let rolling = true;
    const load = (async () => {
      for (let count = 0; rolling || count < 5; count++) if (!(await get('http://web/')).includes('"pod"')) failures++;
    })();
    writeFileSync(file, readFileSync(file, 'utf8').replace('image: any/thing', 'image: any/thing:2'));
    await until('other pods', async () =>
      (await podsOf('web')).every((pod) => pod.ready && !before_.some((old) => old.name === pod.name)),
    );
    await lab.waitInStep(15_000);
    rolling = false;
    await load;
    assert.equal(failures, 0);
    assert.equal((await podsOf('web')).length, 2);
  });

  test('scaling, and a file that is broken: nothing changes until it is repaired', { timeout }, async () => {
    const file = path.join(folder, 'plain.yaml');
    const good = readFileSync(file, 'utf8').replace('replicas: 2', 'replicas: 3');
    writeFileSync(file, `${good}\n---\nkind: [\n`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal((await podsOf('web')).length, 2);
    writeFileSync(file, good);
    await until('three', async () => (await podsOf('web')).filter((pod) => pod.ready).length === 3);
    writeFileSync(file, good.replace('replicas: 3', 'replicas: 1'));
    await until('one', async () => (await podsOf('web')).length === 1);
  });

  test('a ConfigMap that changes: its files follow in running pods, the environment does not', {
    timeout,
  }, async () => {
    const settings = (data: object) => {
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'pods' }, data };
      return lab.apply([{ file: 'settings.yaml', text: JSON.stringify(object) }]);
    };
    await settings({ colour: 'red', more: 'a new key' });
    assert.equal(
      await shell('pods', 'full', 'cd /etc/settings && ls && cat colour more'),
      'colour\nmore\nreda new key',
    );
    assert.equal(await shell('pods', 'full', 'echo $COLOUR'), 'blue');
    await settings({ colour: 'blue', greeting: 'hello from a file' });
    assert.equal(await shell('pods', 'full', 'cat /etc/settings/*'), 'bluehello from a file');
  });

  test('apply refuses all of it when a part is wrong', { timeout }, async () => {
    const good = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late', namespace: 'pods' } };
    const result = await lab.apply([
      { file: 'good.yaml', text: JSON.stringify(good) },
      { file: 'bad.yaml', text: 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: [x]\n' },
    ]);
    assert.deepEqual(result.applied, []);
    assert.equal(result.refused[0]?.place?.file, 'bad.yaml');
    await assert.rejects(lab.get('configmap', 'late', 'pods'), /is not there/);
  });
});
