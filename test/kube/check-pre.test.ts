// `ambientctl check --pre` against an API server: what is missing of definitions and permissions, and servers that are
// too old, say nothing of their age, or are not there.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { runInProcess } from '../../src/cli/testing-run.ts';
import { Cluster } from './cluster.ts';
import { foreignDefinitions } from './foreign-definitions.ts';

interface Report {
  readonly success: boolean;
  readonly categories: readonly {
    readonly categoryName: string;
    readonly checks: readonly { readonly description: string; readonly result: string; readonly error?: string }[];
  }[];
}

/** `CATEGORY: DESCRIPTION: ERROR` of what is not well, and the exit code. */
async function checked(kubeconfig: string): Promise<{ readonly code: number; readonly wrong: readonly string[] }> {
  const { code, out, err } = await runInProcess(['check', '--pre', '--kubeconfig', kubeconfig, '-o', 'json']);
  assert.notEqual(out, '', err);
  const { categories } = JSON.parse(out) as Report;
  const wrong = categories.flatMap(({ categoryName, checks }) =>
    checks.flatMap(({ description, result, error }) =>
      result === 'success' ? [] : [`${result} ${categoryName}: ${description}: ${error}`],
    ),
  );
  return { code, wrong };
}

/** A kubeconfig that leads to a server of this test, which answers by path. */
async function kubeconfigOf(
  context: TestContext,
  cluster: Cluster,
  answers: (path: string) => { readonly status: number; readonly body: object },
): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body } = answers(request.url ?? '');
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return cluster.file(`${port}`, kubeconfigFor(`http://127.0.0.1:${port}`));
}

function kubeconfigFor(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: { token: 't' } }],
  });
}

async function open(context: TestContext): Promise<Cluster> {
  const cluster = await Cluster.open();
  context.after(() => cluster.close());
  return cluster;
}

test('an administrator may install; kinds of others are missed, and not an error', async (context) => {
  const cluster = await open(context);
  const { code, wrong } = await checked(cluster.adminKubeconfig);
  assert.equal(code, 0, wrong.join('\n'));
  // A real one may have them.
  if (cluster.server === null) return;
  assert.deepEqual(
    wrong.map((one) => one.split(':').slice(0, 2).join(':')).sort(),
    ['gateway.networking.k8s.io', 'networking.istio.io', 'security.istio.io'].map(
      (group) => `warning definitions of others: ${group} is defined`,
    ),
  );
  for (const definition of foreignDefinitions) await cluster.define(definition);
  const { wrong: left } = await checked(cluster.adminKubeconfig);
  assert.deepEqual(left, []);
});

test('who may nothing is told each thing that he may not make', async (context) => {
  const cluster = await open(context);
  const namespace = `pre-${cluster.unique}`;
  await cluster.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
  await cluster.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, account);
  const { code, wrong } = await checked(await cluster.kubeconfigOf(namespace, 'robot'));
  assert.equal(code, 1);
  const refused = wrong.filter((one) => one.startsWith('error permissions: '));
  assert.equal(refused.length, 10, wrong.join('\n'));
  assert.ok(refused.some((one) => one.includes('customresourcedefinitions can be made')));
});

const rows: readonly (readonly [what: string, version: object | null, wrong: RegExp | null])[] = [
  ['is too old', { major: '1', minor: '29+' }, /^error kubernetes API: it is 1.30 or newer: it is 1.29\+$/],
  ['does not say its version', {}, /^warning kubernetes API: it is 1.30 or newer: it does not say its version$/],
  ['answers with a failure', null, /^error kubernetes API: the API server answers: .*503/],
  ['is new enough', { major: '1', minor: '30' }, null],
];

for (const [what, version, expected] of rows) {
  test(`an API server that ${what}`, async (context) => {
    const cluster = await open(context);
    const file = await kubeconfigOf(context, cluster, (path) => {
      if (version === null) return { status: 503, body: { kind: 'Status', status: 'Failure', message: 'not now' } };
      if (path.startsWith('/version')) return { status: 200, body: version };
      return { status: 200, body: { status: { allowed: true } } };
    });
    const { code, wrong } = await checked(file);
    assert.equal(wrong.length, expected === null ? 0 : 1, wrong.join('\n'));
    if (expected !== null) assert.match(wrong[0] ?? '', expected);
    assert.equal(code, expected?.source.startsWith('^error') === true ? 1 : 0);
  });
}

test('an API server that is not there', async (context) => {
  const cluster = await open(context);
  const { code, wrong } = await checked(cluster.file('nowhere', kubeconfigFor('http://127.0.0.1:1')));
  assert.equal(code, 1);
  assert.match(wrong.join(), /^error kubernetes API: the API server answers: /);
});
