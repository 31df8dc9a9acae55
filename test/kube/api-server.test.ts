// The API server's behaviours as a table. The default run judges our own; `npm run test:kube -- --kubeconfig FILE`
// judges the one that the file leads to by the same cases.
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import { type ApiCase, ok, type Scene } from './api-case.ts';
import { ApiClient, type WatchReader } from './api-client.ts';
import { accessCases } from './cases-access.ts';
import { applyCases } from './cases-apply.ts';
import { customCases } from './cases-custom.ts';
import { readCases } from './cases-read.ts';
import { writeCases } from './cases-write.ts';
import { targetOfKubeconfig } from './kubeconfig.ts';

const groups = {
  reading: readCases,
  writing: writeCases,
  'server-side apply': applyCases,
  'custom kinds, tables, discovery': customCases,
  access: accessCases,
} satisfies Record<string, readonly ApiCase[]>;
const file = process.env.AMBIENT_KUBECONFIG ?? '';
const isOwn = file === '';

let server: ApiServer | null = null;
let api: ApiClient;

before(async () => {
  if (!isOwn) {
    api = new ApiClient(targetOfKubeconfig(file));
    return;
  }
  server = new ApiServer();
  api = new ApiClient(await server.start());
});

after(async () => {
  api.close();
  await server?.close();
});

/** Runs a case in a namespace of its own, which goes afterwards with everything that the case has made. */
async function play({ run }: ApiCase): Promise<void> {
  const unique = randomBytes(4).toString('hex');
  const namespace = `ambient-test-${unique}`;
  const root = `/api/v1/namespaces/${namespace}`;
  const watches: WatchReader[] = [];
  const cleaned: string[] = [root];
  const scene: Scene = {
    api,
    namespace,
    unique,
    path: (plural, groupVersion) =>
      groupVersion === undefined ? `${root}/${plural}` : `/apis/${groupVersion}/namespaces/${namespace}/${plural}`,
    watch: async (path) => {
      const watch = await api.watch(path);
      watches.push(watch);
      return watch;
    },
    clean: (path) => cleaned.unshift(path),
  };
  ok(await api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }), 201);
  try {
    await run(scene);
  } finally {
    for (const watch of watches) watch.close();
    // Where there is no kubelet, nobody else would end those that are bound to a node.
    await api.delete(`${root}/pods`, { gracePeriodSeconds: 0 });
    for (const path of cleaned) await api.delete(path);
  }
}

for (const [group, cases] of Object.entries(groups)) {
  describe(group, () => {
    for (const each of cases) test(each.name, () => play(each));
  });
}
