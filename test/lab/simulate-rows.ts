// What `simulate` says of a change, in a lab, against what happens when it is applied: rows of `operations.test.ts`.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { runInProcess } from '../../src/cli/testing-run.ts';
import type { LabClient } from '../../src/lab/control-client.ts';
import type { Json } from '../kube/api-client.ts';
import { authorizationPolicy, document, peerAuthentication } from './harness.ts';

/** The manifests that the rows need in the lab. */
export const simulatedFixture = path.join(import.meta.dirname, 'fixtures/simulated.yaml');

/** Runs a script in a pod, and resolves with what it printed. */
type InPod = (namespace: string, name: string, script: string) => Promise<string>;

const timeout = 90_000;
/** Every pair that is asked, `CALLER SERVICE`. */
const callers = ['sim/web', 'sim/batch', 'outside/legacy'];
const services = ['store.sim', 'server.ops'];
const pairs = callers.flatMap((from) => services.map((to) => `${from} ${to}:80`));
const splitRequests = 120;

const policy = (name: string, ...accounts: string[]): string => {
  const principals = accounts.map((account) => `cluster.local/ns/sim/sa/${account}`);
  const spec = { selector: { matchLabels: { app: 'store' } }, rules: [{ from: [{ source: { principals } }] }] };
  return authorizationPolicy({ name, namespace: 'sim', spec });
};
const backend = (version: string, weight = 1) => ({ name: `site-${version}`, port: 80, weight });
const canary = document({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'site', namespace: 'sim' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'site' }],
    rules: [
      { matches: [{ headers: [{ name: 'x-canary', value: 'yes' }] }], backendRefs: [backend('v2')] },
      { matches: [{ path: { value: '/split' } }], backendRefs: [backend('v1'), backend('v2', 3)] },
      { matches: [{ path: { value: '/moved' } }], backendRefs: [backend('v2')] },
      { backendRefs: [backend('v1')] },
    ],
  },
});

/** Declares the rows; `lab` gives the lab when they run. */
export function simulateRows(lab: () => LabClient, inPod: InPod): void {
  describe('what simulate says of a change is what happens when it is applied', () => {
    const scene = new Scene(lab, inPod);
    after(() => scene.close());
    test('other shares and a header: where each request goes', { timeout }, () => otherRoute(scene));
    test('an ALLOW policy that refuses, one that allows more, and its removal', { timeout }, () => otherPolicy(scene));
    test('what there is to delete is completed', { timeout }, () => completion(scene));
    test('--strict: those who were seen in plaintext fail, and no other', { timeout }, () => strict(scene));
  });
}

class Scene {
  readonly #lab: () => LabClient;
  readonly #inPod: InPod;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'ambient-simulate-'));
  readonly #file = path.join(this.#folder, 'change.yaml');

  constructor(lab: () => LabClient, inPod: InPod) {
    this.#lab = lab;
    this.#inPod = inPod;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The answer about a change, or about what `args` say. */
  async simulated(change: string | null, ...args: string[]): Promise<{ code: number; answer: Json }> {
    if (change !== null) writeFileSync(this.#file, change);
    const about = change === null ? args : ['-f', this.#file, ...args];
    const { code, out, err } = await runInProcess(['simulate', '--lab', this.#lab().lab.name, ...about, '-o', 'json']);
    assert.notEqual(out, '', err);
    return { code, answer: JSON.parse(out) as Json };
  }

  async completed(...words: string[]): Promise<string> {
    return (await runInProcess(['__complete', '--', ...words], { AMBIENT_LAB: this.#lab().lab.name })).out;
  }

  async whyOf(to: string): Promise<Json> {
    const { code, out, err } = await runInProcess(['why', to, '--lab', this.#lab().lab.name, '-o', 'json']);
    assert.deepEqual([code, err], [0, '']);
    return JSON.parse(out) as Json;
  }

  async apply(text: string): Promise<void> {
    assert.deepEqual((await this.#lab().apply([{ file: this.#file, text }])).refused, []);
  }

  async remove(text: string): Promise<void> {
    await this.#lab().delete([{ file: this.#file, text }]);
  }

  /** All pairs are answered but these. */
  async assertRefused(refused: readonly string[]): Promise<void> {
    const script = services.map((one) => `curl -s -m 10 -o /dev/null -w '%{http_code} ' http://${one}/`).join(';');
    const codes = await Promise.all(
      callers.map(async (from) => {
        const [namespace = '', name = ''] = from.split('/');
        return (await this.#inPod(namespace, name, script)).split(' ').slice(0, services.length);
      }),
    );
    const failed = pairs.filter((_, at) => codes.flat()[at] !== '200');
    assert.deepEqual(failed.sort(), [...refused].sort());
  }

  /** How many of so many requests each version of the site answers. */
  async sharesOf(target: string, count: number, header = 'accept: */*'): Promise<Record<string, number>> {
    const said = await this.#inPod('sim', 'web', `curl -s -m 20 -H '${header}' 'http://site${target}?[1-${count}]'`);
    const shares: Record<string, number> = {};
    for (const [, pod = ''] of said.matchAll(/"pod": ?"site-(\d)"/g)) shares[`v${pod}`] = (shares[`v${pod}`] ?? 0) + 1;
    return shares;
  }

  /** Asks until it is so: proxies tell of flows when they have ended. */
  async untilSeen(isSeen: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (!(await isSeen())) assert(performance.now() < deadline, 'it is not so in 20 s');
  }
}

const changesOf = ({ changes }: Json, change: string): string[] =>
  changes
    .filter((one: Json) => one.change === change)
    .map(({ from, to }: Json) => `${from.name} ${to.name}`)
    .sort();

async function otherRoute(scene: Scene): Promise<void> {
  for (const target of ['/same', '/moved', '/split']) assert.deepEqual(await scene.sharesOf(target, 5), { v1: 5 });
  await scene.untilSeen(async () => (await scene.simulated(canary)).answer.summary.effects.rerouted === 10);
  const { code, answer } = await scene.simulated(canary);
  const rows = new Map<string, Json>(
    answer.changes.map((one: Json) => [one.requests.map((each: Json) => each.path).join(), one]),
  );
  assert.deepEqual([code, [...rows.keys()].sort()], [0, ['/moved', '/same', '/split']], JSON.stringify(answer));
  for (const target of ['/moved', '/split']) {
    const { change, flows, from, to, by, before, after: will } = rows.get(target)!;
    assert.deepEqual([change, flows, from.name, to.name], ['rerouted', 5, 'sim/web', 'site.sim:80']);
    assert.deepEqual([by.name, by.rule], ['site', target === '/split' ? 1 : 2]);
    assert.deepEqual(before.backends, [{ service: 'site-v1.sim', subset: null, percent: 100 }]);
    assert.deepEqual(
      will.backends.map((one: Json) => `${one.service} ${one.percent}`),
      target === '/split' ? ['site-v1.sim 25', 'site-v2.sim 75'] : ['site-v2.sim 100'],
    );
  }
  // No record has headers: only what it would do to a request that bears this one is known.
  const { change, dependsOn, possible, after: will } = rows.get('/same')!;
  assert.deepEqual([change, dependsOn, possible], ['depends', ['header x-canary'], ['rerouted', 'none']]);
  assert.equal(will.backends[0].service, 'site-v2.sim');

  await scene.apply(canary);
  assert.deepEqual(await scene.sharesOf('/moved', 10), { v2: 10 });
  assert.deepEqual(await scene.sharesOf('/same', 10), { v1: 10 });
  assert.deepEqual(await scene.sharesOf('/same', 10, 'x-canary: yes'), { v2: 10 });
  const { v1 = 0, v2 = 0 } = await scene.sharesOf('/split', splitRequests);
  // A quarter of 120 is 30: below 8 or above 55 it is once in a million.
  assert.deepEqual([v1 + v2, v1 >= 8 && v1 <= 55], [splitRequests, true], `${v1} of v1`);
  assert.deepEqual((await scene.simulated(canary)).answer.changes, []);
  const { callers, rules } = await scene.whyOf('svc/site.sim');
  const requests = 3 * 5 + 3 * 10 + splitRequests;
  assert.deepEqual(
    callers.map((one: Json) => [one.from, one.flows, one.refused, one.lastVerdict]),
    [['sim/web', requests, 0, 'forwarded']],
  );
  assert.deepEqual(rules.length, 4);
}

async function otherPolicy(scene: Scene): Promise<void> {
  await scene.assertRefused([]);
  const only = policy('store', 'web');
  await scene.untilSeen(async () => changesOf((await scene.simulated(only)).answer, 'refused').length === 2);
  const { code, answer } = await scene.simulated(only);
  const refused = changesOf(answer, 'refused');
  assert.deepEqual([code, refused], [1, ['outside/legacy store.sim:80', 'sim/batch store.sim:80']]);
  await scene.apply(only);
  await scene.assertRefused(refused);
  const { callers, policies, ports } = await scene.whyOf('svc/store.sim');
  const last = callers.map((one: Json) => `${one.from} ${one.lastVerdict} ${one.decidedBy}`);
  assert.deepEqual(last.sort(), [
    'outside/legacy refused sim/store',
    'sim/batch refused sim/store',
    'sim/web forwarded null',
  ]);
  assert.deepEqual([policies[0].name, ports[0].callers[0].verdict], ['store', 'deny']);

  const more = policy('store', 'web', 'batch');
  const wider = await scene.simulated(more, '--last', '30m');
  assert.deepEqual([wider.code, changesOf(wider.answer, 'allowed')], [0, ['sim/batch store.sim:80']]);
  const removal = await scene.simulated(null, '--delete', 'authorizationpolicy/store', '-n', 'sim');
  assert.deepEqual([removal.code, changesOf(removal.answer, 'allowed')], [0, refused]);
  await scene.apply(more);
  await scene.assertRefused(['outside/legacy store.sim:80']);
  const rest = await scene.simulated(null, '--delete', 'AuthorizationPolicy/sim/store');
  assert.deepEqual(changesOf(rest.answer, 'allowed'), ['outside/legacy store.sim:80']);
  await scene.remove(more);
  await scene.assertRefused([]);
}

/** What the shell is offered for `--delete`. */
async function completion(scene: Scene): Promise<void> {
  // It says nothing after a second, which a busy machine may need.
  const isCompleted = (words: readonly string[], wanted: string) =>
    scene.untilSeen(async () => (await scene.completed('simulate', ...words)) === wanted);
  await isCompleted(['--delete', 'HTTPR'], 'HTTPRoute/\tof this kind\n');
  await isCompleted(['--delete', 'HTTPRoute/'], 'HTTPRoute/sim/site\tHTTPRoute\n');
  await isCompleted(['-n', 'ops', '--delete', 'Service/'], 'Service/server\tService\n');
}

async function strict(scene: Scene): Promise<void> {
  // One of the services stays open.
  const open = peerAuthentication({
    name: 'open',
    namespace: 'ops',
    spec: { selector: { matchLabels: { app: 'server' } }, mtls: { mode: 'PERMISSIVE' } },
  });
  await scene.apply(open);
  const { code, answer } = await scene.simulated(null, '--strict');
  assert.deepEqual([code, answer.answer, answer.exceptions], [1, 'no', ['ops/open']], JSON.stringify(answer));
  const rows = answer.plaintext.map(({ from, to, withStrict }: Json) => `${from} ${to} ${withStrict}`);
  assert.deepEqual(rows.sort(), ['outside/legacy server.ops:80 exempt', 'outside/legacy store.sim:80 refused']);
  await scene.apply(answer.manifest);
  await scene.assertRefused(['outside/legacy store.sim:80']);
  await scene.remove(answer.manifest);
  await scene.remove(open);
  await scene.assertRefused([]);
}
