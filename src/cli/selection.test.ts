// `-l` of commands: what it selects of a mesh, flows by the labels of their pods, and what is said of a selector that
// cannot be read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelTest } from '../base/label-selector.ts';
import { flowFilter } from '../telemetry/flow-filter.ts';
import { tunnelFlow } from '../telemetry/testing-flows.ts';
import type { CommandContext } from './command.ts';
import { configResult } from './config.ts';
import type { CliIo } from './io.ts';
import { LabelledPods } from './labelled-pods.ts';
import type { Mesh, OperableMesh } from './mesh.ts';
import { patientMesh } from './patient-mesh.ts';
import { selectedKeys, selectedWorkloads } from './selection.ts';
import { dump } from './testing-fixtures.ts';
import { runInProcess } from './testing-run.ts';

const [workload] = dump.workloads;
const podKey = `${workload!.namespace}/${workload!.name}`;

/** A mesh with one pod, which has labels; who counts how often it is asked. */
function meshOf(labels: Record<string, string>, asked: unknown[] = []): Mesh {
  const { namespace, name } = workload!;
  const objects = async (...which: [string, string?, string?]) => {
    asked.push(which);
    const [kind, , selector = ''] = which;
    return kind === 'Pod' && labelTest(selector)(labels) ? [{ metadata: { namespace, name, labels } }] : [];
  };
  return { objects, logsCommand: () => '', admin: async () => ({ workloads: dump.workloads }) } as unknown as Mesh;
}

const contextOf = (selector?: string): CommandContext => {
  return { io: {} as CliIo, args: [], options: selector === undefined ? {} : { selector } };
};

test('keys and workloads that a selector means; without one everything', async () => {
  const mesh = meshOf({ app: 'web', version: 'v1' });
  assert.equal(await selectedKeys(contextOf(), mesh, ['Pod']), null);
  assert.deepEqual([...(await selectedKeys(contextOf('app=web,version!=v2'), mesh, ['Pod']))!], [podKey]);
  assert.deepEqual([...(await selectedKeys(contextOf('app!=web'), mesh, ['Pod']))!], []);
  const workloads = await selectedWorkloads(contextOf('app in (web)'), mesh);
  assert.deepEqual([...workloads!], [`${workload!.namespace}/${workload!.workloadName}`]);
  await assert.rejects(selectedKeys(contextOf('app=web,='), mesh, ['Pod']), /column 9: the key of a label is missing/);
});

test('views of a proxy, of what is selected alone; names as kubectl takes them', () => {
  const wish = { namespace: null, nowMs: null };
  const chosen = configResult('workloads', dump, { ...wish, selected: new Set([podKey]) });
  assert.deepEqual(chosen.data, [workload]);
  assert.equal(chosen.also?.['name']?.(), `pod/${workload!.name}\n`);
  assert.deepEqual(configResult('services', dump, { ...wish, selected: new Set() }).data, []);
  const service = dump.services[0]!;
  const services = configResult('services', dump, {
    ...wish,
    selected: new Set([`${service.namespace}/${service.name}`]),
  });
  assert.equal(services.also?.['name']?.(), `service/${service.name}\n`);
});

test('flows by the labels of their pods, asked again when a pod is new', async () => {
  let nowMs = 0;
  const asked: unknown[] = [];
  const flow = tunnelFlow();
  const { namespace, workload: name } = flow.source;
  let pods: object[] = [];
  const objects = async (...which: unknown[]) => {
    asked.push(which);
    return pods;
  };
  const known = await LabelledPods.read({ objects } as unknown as Mesh, ['app=web'], () => nowMs);
  const wants = flowFilter([{ field: 'fromLabel', value: 'app=web', negated: false }], known.of);
  assert.deepEqual([wants(flow), asked], [false, [['Pod', undefined, 'app=web']]]);
  pods = [{ metadata: { namespace, name } }];
  await known.heed(flow);
  assert.equal(asked.length, 1, 'not twice within a second');
  nowMs = 1_001;
  await known.heed(flow);
  assert.deepEqual([wants(flow), asked.length], [true, 2]);
  nowMs = 5_000;
  await known.heed(flow);
  assert.equal(asked.length, 2, 'both ends are known');
  assert.throws(
    () => flowFilter([{ field: 'label', value: 'app', negated: false }]),
    /cannot be selected by labels here/,
  );
});

test('a mesh that is waited for passes on which objects are meant', async () => {
  const asked: unknown[] = [];
  const interruption = () => new AbortController().signal;
  const io = { stderr: { write: () => {} }, env: {}, columns: 80, interruption } as unknown as CliIo;
  await patientMesh(meshOf({ app: 'web' }, asked) as OperableMesh, io).objects('Pod', 'shop', 'app=web');
  assert.deepEqual(asked, [['Pod', 'shop', 'app=web']]);
});

const rows: readonly { title: string; args: string[]; err: RegExp }[] = [
  {
    title: 'a selector that is none',
    args: ['analyze', '-l', 'a in b', '.'],
    err: /'a in b', column 6: '\(' and a list/,
  },
  { title: 'labels of saved flows', args: ['stat', '-l', 'a=b', '--input-file', 'x'], err: /not in x: leave out -l/ },
  { title: 'the same of tap', args: ['tap', '-l', 'a=b', '--input-file', 'x'], err: /not in x: leave out -l/ },
  {
    title: 'labels of a saved dump',
    args: ['config', 'services', '-l', 'a', '-f', 'x'],
    err: /not in x: leave out -l/,
  },
  { title: 'nobody to enrol', args: ['enroll'], err: /say what to enroll: NAMESPACE, .*-l SELECTOR/ },
  { title: 'labels and --fix', args: ['analyze', '--fix', '-l', 'a', '.'], err: /--fix takes -n and -S/ },
];
for (const { title, args, err } of rows) {
  test(`usage: ${title}`, async () => {
    const { code, err: said } = await runInProcess(args, { AMBIENT_LAB: 'no-such-lab' });
    assert.equal(code, 2, said);
    assert.match(said, err);
  });
}
