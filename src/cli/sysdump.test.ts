// The archive of a mesh that is full of secrets, and half of which does not answer: no secret is in it, what could not
// be had is named, and other commands read what is there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { isMeshError, MeshError } from '../base/errors.ts';
import { logSince, type OperableMesh } from './mesh.ts';
import { makeArchive } from './sysdump.ts';
import { inventoryOf } from './sysdump-items.ts';
import { dump, statusView } from './testing-fixtures.ts';
import { runInProcess } from './testing-run.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'ambient-dump-test-'));
after(() => rmSync(folder, { recursive: true }));

let planted = 0;
const canaries: string[] = [];
/** A secret that nobody else writes. */
function canary(): string {
  const text = `canary${String(++planted).padStart(3, '0')}Zx9Qw7`;
  canaries.push(text);
  return text;
}

const meta = (name: string, more: object = {}) => ({ namespace: 'shop', name, ...more });
const jwt = (): string => `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.${canary()}`;
const pem = (): string => `-----BEGIN PRIVATE KEY-----\n${canary()}\n-----END PRIVATE KEY-----`;
const ours = { 'app.kubernetes.io/part-of': 'ambient' };
const objects: Readonly<Record<string, readonly object[]>> = {
  Namespace: [{ metadata: { name: 'shop', annotations: { link: `https://me:${canary()}@git.shop/x` } } }],
  Node: [{ metadata: { name: 'node-1' } }],
  Secret: [{ kind: 'Secret', metadata: meta('s'), data: { x: canary() } }],
  Pod: [
    {
      metadata: meta('web', {
        annotations: {
          'kubectl.kubernetes.io/last-applied-configuration': `{"x":"${canary()}"}`,
          jdbc: `db://a:${canary()}@x/y`,
        },
      }),
      spec: {
        containers: [
          { name: 'c', env: [{ name: 'DB', value: `postgres://u:${canary()}@db/x` }], args: [`--x=${canary()}`] },
        ],
      },
    },
    {
      metadata: {
        namespace: 'ambient-system',
        name: 'ambient-controller-1',
        labels: ours,
        managedFields: [{ x: canary() }],
      },
      spec: {
        containers: [
          {
            name: 'c',
            env: [{ name: 'PLAIN', value: canary() }],
            args: ['--token', canary(), '--config', '/etc/ambient'],
          },
        ],
      },
    },
  ],
  ConfigMap: [
    {
      metadata: { namespace: 'ambient-system', name: 'ambient-node', labels: ours },
      data: { 'config.yaml': `{"password": "${canary()}"}` },
    },
    { metadata: meta('theirs'), data: { anything: canary() } },
  ],
  Event: [
    { metadata: { namespace: 'ambient-system', name: 'e' }, message: `pull failed: https://u:${canary()}@registry/x` },
  ],
  AuthorizationPolicy: [
    {
      apiVersion: 'security.istio.io/v1',
      metadata: meta('keys'),
      spec: { rules: [{ when: [{ key: 'request.headers[x-api-key]', values: [canary()] }] }] },
    },
  ],
  HTTPRoute: [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      metadata: meta('r'),
      spec: {
        rules: [
          { filters: [{ requestHeaderModifier: { set: [{ name: 'Authorization', value: `Basic ${canary()}` }] } }] },
        ],
      },
    },
  ],
  RequestAuthentication: [
    {
      apiVersion: 'security.istio.io/v1',
      metadata: meta('jwt'),
      spec: { jwtRules: [{ issuer: 'x', jwks: JSON.stringify({ keys: [{ kty: 'oct', k: canary() }] }) }] },
    },
  ],
};
const logText = [
  `2026-11-21T11:00:00.000Z INFO  old ${jwt()}`,
  `2026-11-21T12:00:00.000Z INFO  asked  authorization="Bearer ${canary()}"`,
  JSON.stringify({ time: '2026-11-21T12:00:01.000Z', level: 'info', token: canary(), msg: `key ${pem()}` }),
  `Cookie: session=${canary()}`,
  `GET /login?password=${canary()}&x=1`,
  '',
].join('\n');
const silent = (what: string): Promise<never> =>
  Promise.reject(new MeshError('NOT_REACHABLE', { what, reason: `https://u:${canary()}@x said no`, hint: 'see it' }));

const mesh = {
  title: 'lab test',
  nodes: async () => ['node-1', 'node-2'],
  objects: async (kind: string) => objects[kind] ?? [],
  admin: async ({ kind, name }: { kind: string; name: string }, adminPath: string) => {
    if (name === 'node-2') return silent('node-2');
    if (adminPath === '/config_dump') return { ...dump, config: { nodeName: 'node-1', apiKey: canary(), note: jwt() } };
    if (adminPath === '/proxies') return { proxies: [] };
    if (adminPath === '/mesh') return silent('the controller');
    return kind === 'controller' ? { ...statusView, token: canary() } : {};
  },
  text: async () => `# HELP x\nx{url="http://u:${canary()}@y/"} 1\n`,
  stream: async function* () {
    yield JSON.stringify({ time: '2026-11-21T12:00:00.000Z', path: `/x?access_token=${canary()}` });
  },
  logSources: async () => [
    { name: 'controller', read: async (sinceMs: number | null) => logSince(logText, sinceMs) },
    { name: 'node/node-2', read: () => silent('its log') },
  ],
} as unknown as OperableMesh;

test('no secret is in the archive, what is not to be had is named, and the rest can be read', async () => {
  const file = path.join(folder, 'incident.tar.gz');
  const inventory = await inventoryOf(mesh, { systemNamespace: 'ambient-system', sinceMs: null });
  const outcomes = await makeArchive(file, inventory, mesh.title, () => {}, new AbortController().signal);
  const archive = gunzipSync(readFileSync(file));
  assert.ok(canaries.length > 20, 'the secrets are there to be found');
  assert.deepEqual(
    canaries.filter((one) => archive.includes(one)),
    [],
  );
  assert.equal(statSync(file).mode & 0o077, 0, 'for its owner alone');
  const failed = outcomes.flatMap(({ path: where, error }) => (error === null ? [] : [where]));
  assert.deepEqual(failed.sort(), ['logs/node/node-2.log', 'mesh.json', 'proxies/node/node-2/config_dump.json']);
  assert.equal(spawnSync('tar', ['-xzf', file, '-C', folder]).status, 0);
  const inside = path.join(folder, 'incident');
  const read = (name: string): string => readFileSync(path.join(inside, name), 'utf8');
  assert.match(read('logs/controller.log'), /asked {2}authorization="\[redacted\]"/);
  assert.equal(JSON.parse(read('manifest.json')).items.length, outcomes.length);
  assert.deepEqual(JSON.parse(read('system/ConfigMap.json')).items.length, 1, "nobody else's");
  const config = await runInProcess([
    'config',
    'workloads',
    '-f',
    path.join(inside, 'proxies/node/node-1/config_dump.json'),
  ]);
  assert.deepEqual([config.code, /^shop +web-7d4b9 /m.test(config.out)], [0, true], config.err);
  const analyzed = await runInProcess(['analyze', path.join(inside, 'objects'), '-o', 'json']);
  assert.equal(analyzed.code < 2, true, analyzed.err);
});

test('nothing is left when it is interrupted, or the place is not there', async () => {
  const inventory = { items: [{ group: 'status', path: 'x', read: async () => 'x' }] as const, failures: [] };
  const file = path.join(folder, 'other.tar.gz');
  const make = (where: string, signal: AbortSignal) => makeArchive(where, inventory, 'lab', () => {}, signal);
  await assert.rejects(make(file, AbortSignal.abort()));
  await assert.rejects(make('/nonexistent/x.tar.gz', new AbortController().signal), (error) => isMeshError(error));
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('other')),
    [],
  );
});

test('logs since a time', () => {
  const since = logSince(logText, Date.parse('2026-11-21T11:30:00.000Z'));
  assert.deepEqual([since.includes('old'), since.includes('Cookie')], [false, true]);
});

const refused: readonly [string[], RegExp][] = [
  [['sysdump', '--include', 'everything'], /--include 'everything': there are status, proxies/],
];
for (const [args, words] of refused) {
  test(`refused: ${args.join(' ')}`, async () => {
    const { code, err } = await runInProcess(args, { AMBIENT_LAB: 'no-such-lab' });
    assert.deepEqual([code, words.test(err)], [2, true], err);
  });
}
