import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AuthorizationPolicyResource, Resource } from '../model/resources.ts';
import { asideKinds, listPath, watchedKinds } from './api/kinds.ts';
import { status, type TestingApi, testingApi } from './api/testing-api.ts';
import { KubeSource } from './kube-source.ts';
import type { SourceChange } from './mesh-source.ts';

const timeout = { timeout: 30_000 };
const quick = { retryFirstMs: 5, retryCapMs: 20, absentRetryMs: 10 };
const pathOf = (kind: string): string => {
  const entry = watchedKinds.find((one) => one.kind === kind)!;
  return listPath(entry, entry.versions[0]!);
};
const pods = pathOf('Pod');
const policies = pathOf('AuthorizationPolicy');
const routes = pathOf('HTTPRoute');
const builtIn = watchedKinds.filter((one) => !one.isCustom).map((one) => pathOf(one.kind));

function pod(name: string, ip = '10.244.1.2') {
  return {
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: { nodeName: 'a', serviceAccountName: name, containers: [{ name: 'c', image: 'x' }] },
    status: { phase: 'Running', podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

function policy(name: string, spec: Readonly<Record<string, unknown>>, generation = 1) {
  return { metadata: { name, namespace: 'shop', generation }, spec };
}

async function open(context: TestContext, prepare: (api: TestingApi) => void = () => {}) {
  const { api, client, port } = await testingApi(context);
  api.define(...builtIn);
  prepare(api);
  const source = new KubeSource({ client, random: () => 0.5, times: quick });
  context.after(() => source.close());
  const held = new Map<string, Resource>();
  const changes: SourceChange[] = [];
  let notify = (): void => {};
  source.on('status', () => notify());
  source.on('changed', (change) => {
    changes.push(change);
    for (const { kind, name } of change.deletes) assert.ok(held.delete(`${kind}/${name}`), `${kind} ${name} went`);
    for (const one of change.upserts) held.set(`${one.kind}/${one.name}`, one);
    notify();
  });
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    for (const deadlineMs = Date.now() + 20_000; !isSo(); ) {
      if (Date.now() > deadlineMs) assert.fail(`never: ${what}; ${JSON.stringify(source.views())}`);
      await Promise.race([
        new Promise<void>((resolve) => {
          notify = resolve;
        }),
        new Promise((resolve) => setTimeout(resolve, 10)),
      ]);
    }
  };
  const viewOf = (kind: string) => source.views()[1 + watchedKinds.findIndex((one) => one.kind === kind)]!;
  const policyOf = (name: string) => held.get(`AuthorizationPolicy/${name}`) as AuthorizationPolicyResource;
  await source.start();
  return { api, source, held, changes, until, viewOf, policyOf, port };
}

test('the first change has everything, and comes when every kind is known', timeout, async (context) => {
  const { api, source, held, changes, until, viewOf } = await open(context, (one) => {
    one.put(pods, pod('web'));
    one.fail(pathOf('Service'), status(500, 'InternalError'), 1_000);
  });
  await until(
    'the others',
    () => viewOf('HTTPRoute').note === 'is not defined in this cluster' && !viewOf('Service').ok,
  );
  assert.equal(changes.length, 0);
  assert.equal(source.isComplete, false);
  assert.match(viewOf('Service').error!.message, /500 InternalError/);
  api.heal();
  await source.synced;
  assert.equal(changes.length, 1);
  assert.equal(source.isComplete, true);
  const web = held.get('Pod/web')!;
  assert.deepEqual(web.places.object, { file: 'Pod shop/web', line: 0, column: 0 });
  assert.equal(viewOf('HTTPRoute').note, 'is not defined in this cluster');
  assert.ok(source.views().every((view) => view.ok));
});

test('kinds of which there is none come and go with their definitions', timeout, async (context) => {
  const { api, source, held, until, viewOf, changes } = await open(context);
  await source.synced;
  assert.equal(changes[0]!.upserts.length, 0);
  api.define(routes);
  const route = { metadata: { name: 'r', namespace: 'shop', generation: 7 }, spec: { parentRefs: [], rules: [] } };
  api.put(routes, route);
  await until('the route', () => held.has('HTTPRoute/r'));
  assert.equal(
    held.get('HTTPRoute/r')!.places.at(['spec', 'rules', 0])!.file,
    'HTTPRoute shop/r, generation 7: spec.rules[0]',
  );
  assert.equal(viewOf('HTTPRoute').note, undefined);
  api.undefine(routes);
  await until('it is gone', () => !held.has('HTTPRoute/r'));
});

test(
  'what the linter alone looks at is followed when it is asked for, and is no matter of the mesh',
  timeout,
  async (context) => {
    const list = listPath(asideKinds[0]!, 'v1');
    const { api, source, until } = await open(context, (one) => {
      one.define(list);
      one.put(list, { metadata: { name: 'shut', namespace: 'shop', generation: 2 }, spec: { podSelector: {} } });
      one.fail(list, status(403, 'Forbidden'), 1_000_000);
    });
    await source.synced;
    assert.ok(source.views().every(({ path, ok }) => ok && !path.includes('networkpolicies')));
    let changes = 0;
    const aside = source.followAside(() => changes++);
    await until('it is said', () => aside.problems().length > 0);
    assert.match(aside.problems()[0]!, /^NetworkPolicy objects were not looked at: .*403/);
    assert.ok(source.views().every(({ ok }) => ok));
    const before = changes;
    api.heal();
    await until('the policy', () => aside.objects().length > 0);
    assert.deepEqual(aside.problems(), []);
    assert.ok(changes > before);
    const [shut] = aside.objects();
    const place = shut?.places.at(['spec', 'ingress'])?.file;
    assert.deepEqual(
      [shut?.kind, shut?.namespace, place],
      ['NetworkPolicy', 'shop', 'NetworkPolicy shop/shut, generation 2: spec.ingress'],
    );
    aside.close();
  },
);

test('a kind that is not for us is named, and the rest works', timeout, async (context) => {
  const { api, source, held, until, viewOf } = await open(context, (one) => {
    one.put(pods, pod('web'));
    one.define(routes);
    one.fail(routes, status(403, 'Forbidden'), 1_000_000);
    one.fail('customresourcedefinitions/httproutes', (_request, response) => response.end('{}'), 1_000_000);
  });
  await source.synced;
  assert.ok(held.has('Pod/web'));
  const { ok, error } = viewOf('HTTPRoute');
  assert.equal(ok, false);
  assert.match(error!.message, /403 Forbidden: Forbidden on purpose/);
  assert.equal(error!.file, 'kubernetes/httproutes.gateway.networking.k8s.io');
  api.heal();
  await until('it is read', () => viewOf('HTTPRoute').ok);
});

test('policies that are not for us: nobody is told of a mesh without them', timeout, async (context) => {
  const { api, source, until, viewOf, changes } = await open(context, (one) => {
    one.define(policies);
    one.fail(policies, status(403, 'Forbidden'), 1_000_000);
    one.fail('customresourcedefinitions/authorizationpolicies', (_request, response) => response.end('{}'), 1_000_000);
  });
  await until('it is named', () => viewOf('AuthorizationPolicy').error?.message.includes('403') === true);
  await until(
    'the others',
    () => source.views().filter((view) => !view.ok || view.note?.includes('first') === true).length === 1,
  );
  assert.equal(changes.length, 0);
  assert.equal(source.isComplete, false);
  api.heal();
  await source.synced;
});

test('an object that cannot be read keeps what it said last, and is named', timeout, async (context) => {
  const { api, source, until, viewOf, policyOf, held } = await open(context, (one) => {
    one.define(policies);
    one.put(policies, policy('p', { rules: [] }));
  });
  await source.synced;
  assert.equal(policyOf('p').action, 'ALLOW');
  api.put(policies, policy('p', { action: 'PERMIT' }, 2));
  await until('it is named', () => !viewOf('AuthorizationPolicy').ok);
  const error = viewOf('AuthorizationPolicy').error!;
  assert.equal(error.file, 'AuthorizationPolicy shop/p, generation 2');
  assert.match(error.message, /^spec\.action must be one of ALLOW, DENY/);
  assert.equal(policyOf('p').action, 'ALLOW');
  api.put(policies, policy('p', { action: 'DENY', rules: [{}] }, 3));
  await until('it is repaired', () => policyOf('p').action === 'DENY' && viewOf('AuthorizationPolicy').ok);
  api.put(policies, policy('p', { rules: 1 }, 4));
  await until('it is named again', () => !viewOf('AuthorizationPolicy').ok);
  api.remove(policies, 'p');
  await until('it is gone', () => !held.has('AuthorizationPolicy/p') && viewOf('AuthorizationPolicy').ok);
});

test('a policy that could never be read refuses all that it selects', timeout, async (context) => {
  const { api, source, until, policyOf } = await open(context, (one) => {
    one.define(policies);
    const selector = { matchLabels: { app: 'web' } };
    one.put(policies, policy('selects', { selector, rules: [{ form: [] }] }));
    one.put(policies, policy('everything', { selector: { matchExpressions: [] }, rules: [] }));
  });
  await source.synced;
  const { action, selector, rules } = policyOf('selects');
  assert.deepEqual([action, selector], ['DENY', { app: 'web' }]);
  assert.deepEqual(rules, [{ from: null, to: null, when: null }]);
  assert.deepEqual([policyOf('everything').action, policyOf('everything').selector], ['DENY', null]);
  api.put(policies, policy('selects', { selector: { matchLabels: { app: 'cart' } }, rules: 1 }, 2));
  await until('the other selection', () => policyOf('selects').selector?.['app'] === 'cart');
});

const troubles = {
  'forgets its history': async ({ api }) => {
    api.forget();
    api.endWatches();
  },
  'forgets its history between two pages': async ({ api }) => {
    api.pageSize = 10;
    api.fail('continue=20', status(410, 'Expired'), 2);
    api.forget();
    api.endWatches();
    // Its pages are no snapshot: what comes in between would be lost.
    const isThrough = (): boolean => api.count('continue=20') >= 3 && api.watchers(pods) > 0;
    while (!isThrough()) await new Promise((resolve) => setTimeout(resolve, 5));
  },
  restarts: async ({ api, port }) => {
    await api.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    api.forget();
    await api.start(port);
  },
  'answers 429 and 500': async ({ api }) => {
    api.fail('watch=true', status(429, 'TooManyRequests', 0.01), 30);
    api.fail('limit=', status(500, 'InternalError'), 20);
    api.forget();
    api.endWatches();
  },
  'says the kinds are not there': async ({ api }) => {
    api.fail('limit=', status(404, 'NotFound'), 20);
    api.fail('customresourcedefinitions', status(503, 'ServiceUnavailable'), 40);
    api.forget();
    api.endWatches();
  },
} satisfies Record<string, (fixture: Pick<Awaited<ReturnType<typeof open>>, 'api' | 'port'>) => Promise<void>>;

for (const [title, trouble] of Object.entries(troubles)) {
  test(`an API server that ${title} changes nothing that is as it was`, timeout, async (context) => {
    const fixture = await open(context, (one) => {
      one.define(policies);
      one.put(policies, policy('p', { rules: [] }));
      for (let at = 0; at < 50; at++) one.put(pods, pod(`pod-${at}`));
    });
    const { api, source, changes, until, held } = fixture;
    await source.synced;
    await until('all watch', () => [...builtIn, policies].every((path) => api.watchers(path) > 0));
    await trouble(fixture);
    api.put(pods, pod('pod-7', '10.244.1.99'));
    api.put(pods, pod('new'));
    api.remove(pods, 'pod-8');
    await until('the changes', () => held.has('Pod/new') && !held.has('Pod/pod-8'));
    await until('all is well', () => [...builtIn, policies].every((path) => api.watchers(path) > 0));
    const later = changes.slice(1);
    assert.deepEqual(later.flatMap((change) => change.upserts.map((one) => one.name)).sort(), ['new', 'pod-7']);
    assert.deepEqual(
      later.flatMap((change) => change.deletes.map((one) => one.name)),
      ['pod-8'],
    );
  });
}
