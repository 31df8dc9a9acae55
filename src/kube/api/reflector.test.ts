import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { watchedKinds } from './kinds.ts';
import { type ObjectChange, Reflector, type ReflectorTimes } from './reflector.ts';
import { status, type TestingApi, testingApi } from './testing-api.ts';

const timeout = { timeout: 30_000 };
const pods = '/api/v1/pods';
const routes = '/apis/gateway.networking.k8s.io/v1/httproutes';
const oldRoutes = '/apis/gateway.networking.k8s.io/v1beta1/httproutes';
const definition = '/customresourcedefinitions/httproutes.gateway.networking.k8s.io';
const quick = { retryFirstMs: 5, retryCapMs: 20, absentRetryMs: 10 };

function pod(name: string, ip = '10.244.1.2') {
  const status = { phase: 'Running', podIP: ip, hostIP: '10.0.0.1' };
  return { metadata: { name, namespace: 'shop', managedFields: [{ manager: 'kubelet' }] }, spec: {}, status };
}

async function follow(
  context: TestContext,
  options: { kind?: string; times?: Partial<ReflectorTimes>; prepare?: (api: TestingApi) => void } = {},
) {
  const { api, client, port } = await testingApi(context);
  api.define(pods);
  options.prepare?.(api);
  const kind = watchedKinds.find((one) => one.kind === (options.kind ?? 'Pod'))!;
  const reflector = new Reflector({ client, kind, random: () => 0.5, times: { ...quick, ...options.times } });
  context.after(() => reflector.close());
  const held = new Map<string, string>();
  const changes: ObjectChange[] = [];
  let notify = (): void => {};
  reflector.on('state', () => notify());
  reflector.on('changed', (change) => {
    changes.push(change);
    for (const { name } of change.deletes) assert.ok(held.delete(name), `${name} went, and was not there`);
    for (const one of change.upserts) {
      const status = one['status'] as { podIP?: string } | undefined;
      held.set(one.metadata.name, status?.podIP ?? '');
    }
    notify();
  });
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    for (const deadlineMs = Date.now() + 20_000; !isSo(); ) {
      if (Date.now() > deadlineMs) assert.fail(`never: ${what}; ${JSON.stringify([reflector.state, [...held]])}`);
      await Promise.race([
        new Promise<void>((resolve) => {
          notify = resolve;
        }),
        new Promise((resolve) => setTimeout(resolve, 10)),
      ]);
    }
  };
  reflector.start();
  const watching = (path = pods): Promise<void> => until('it watches', () => api.watchers(path) > 0);
  return { api, reflector, held, changes, until, watching, port };
}

test('lists in pages, then follows; what is not read is not kept', timeout, async (context) => {
  const { api, held, changes, until, watching } = await follow(context, {
    prepare: (one) => {
      one.pageSize = 2;
      for (const name of ['a', 'b', 'c', 'd', 'e']) one.put(pods, pod(name));
    },
  });
  await watching();
  assert.deepEqual([...held.keys()], ['a', 'b', 'c', 'd', 'e']);
  assert.equal(changes.length, 1, 'one change for all pages');
  assert.equal(api.count('continue='), 2);
  assert.ok(api.asked.some((one) => one.includes('allowWatchBookmarks=true')));
  const [first] = changes[0]!.upserts;
  assert.equal(first!.kind, 'Pod');
  assert.equal('managedFields' in first!.metadata, false);
  assert.deepEqual(first!['status'], { phase: 'Running', podIP: '10.244.1.2' });
  api.put(pods, pod('f'));
  api.put(pods, pod('a', '10.244.1.9'));
  api.remove(pods, 'b');
  await until('all three', () => held.has('f') && held.get('a') === '10.244.1.9' && !held.has('b'));
});

test('an object that differs in nothing that is read is no news', timeout, async (context) => {
  const { api, changes, until, held, watching } = await follow(context, { prepare: (one) => one.put(pods, pod('a')) });
  await watching();
  for (let at = 0; at < 5; at++) api.put(pods, { ...pod('a'), status: { ...pod('a').status, hostIP: `10.0.0.${at}` } });
  api.put(pods, pod('last'));
  await until('the last one', () => held.has('last'));
  assert.equal(changes.flatMap((change) => change.upserts).filter((one) => one.metadata.name === 'a').length, 1);
});

test('goes on from where it stood when a watch ends, and from a bookmark', timeout, async (context) => {
  const { api, held, until, watching } = await follow(context);
  await watching();
  api.put(pods, pod('a'));
  await until('a', () => held.has('a'));
  api.endWatches();
  await until('it watches again', () => api.count('watch=true') === 2 && api.watchers(pods) === 1);
  assert.ok(api.asked.at(-1)!.includes('resourceVersion=101'));
  api.forget();
  api.bookmark(pods);
  api.put(pods, pod('b'));
  await until('b', () => held.has('b'));
  api.endWatches();
  await watching();
  assert.equal(api.count('limit='), 1, 'nothing was listed again');
});

test('410 Gone, as an answer or as an event: lists again, and tells what differs', timeout, async (context) => {
  const { api, held, changes, until, watching } = await follow(context, {
    prepare: (one) => {
      for (const name of ['same', 'changes', 'goes']) one.put(pods, pod(name));
    },
  });
  await watching();
  api.fail('watch=true', status(503, 'ServiceUnavailable'));
  api.endWatches();
  api.put(pods, pod('changes', '10.244.1.7'));
  api.remove(pods, 'goes');
  api.put(pods, pod('comes'));
  api.forget();
  await until('the difference', () => held.has('comes') && !held.has('goes'));
  assert.equal(held.get('changes'), '10.244.1.7');
  assert.deepEqual(
    changes.at(-1)!.upserts.map((one) => one.metadata.name),
    ['changes', 'comes'],
  );
  await watching();
  const told = changes.length;
  const lists = api.count('limit=');
  api.say(pods, `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`);
  await until('a list', () => api.count('limit=') > lists);
  await watching();
  assert.equal(changes.length, told, 'a list with no difference is no news');
});

test('pieces of events are put together; half of one that is cut off is not taken', timeout, async (context) => {
  const { api, held, until, watching } = await follow(context);
  await watching();
  const object = { ...pod('ä'), metadata: { ...pod('ä').metadata, resourceVersion: '500' } };
  const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
  const cut = line.indexOf(Buffer.from('ä')) + 1;
  api.say(pods, line.subarray(0, cut).toString('latin1').slice(0, 30));
  api.endWatches();
  await until('it watches again', () => api.count('watch=true') === 2 && api.watchers(pods) === 1);
  assert.equal(held.size, 0);
  api.say(pods, line.subarray(0, 40).toString());
  await new Promise((resolve) => setImmediate(resolve));
  api.say(pods, `${line.subarray(40).toString()}\n\n${JSON.stringify({ type: 'ADDED', object: pod('b') })}\n`);
  await until('both', () => held.has('ä') && held.has('b'));
});

test('an event that makes no sense ends the watch, not what is known', timeout, async (context) => {
  const { api, held, until, watching } = await follow(context, { prepare: (one) => one.put(pods, pod('a')) });
  const lines = [
    '{"type":"ADDED","object":',
    '{"type":"GROWN","object":{}}',
    '{"type":"ADDED","object":{}}',
    '[]',
    'x',
  ];
  for (const line of lines) {
    await watching();
    const before = api.count('watch=true');
    api.say(pods, `${line}\n`);
    await until(`a new watch after ${line}`, () => api.count('watch=true') > before);
  }
  await watching();
  api.put(pods, pod('b'));
  await until('b', () => held.has('b') && held.has('a'));
});

test('a list that fails half-way deletes nothing', timeout, async (context) => {
  const { api, held, until, watching, changes } = await follow(context, {
    prepare: (one) => {
      one.pageSize = 1;
      for (const name of ['a', 'b']) one.put(pods, pod(name));
    },
  });
  await watching();
  api.fail('continue=', status(500, 'InternalError'), 3);
  api.forget();
  api.endWatches();
  await until('the list has failed and come right', () => api.count('continue=') >= 5);
  await watching();
  assert.deepEqual([...held.keys()], ['a', 'b']);
  assert.equal(changes.length, 1);
});

for (const [title, answer] of [
  ['500', status(500, 'InternalError')],
  ['429 with Retry-After', status(429, 'TooManyRequests', 0.02)],
  ['401', status(401, 'Unauthorized')],
  ['no JSON', (_request, response) => response.end('<html>')],
  ['a list of something else', (_request, response) => response.end('{"items":[{}]}')],
  ['a connection that is cut', (request) => request.socket.destroy()],
] satisfies readonly (readonly [string, Parameters<TestingApi['fail']>[1]])[]) {
  test(`${title}: is asked again, the trouble is told while it lasts`, timeout, async (context) => {
    const { api, reflector, until, held } = await follow(context, {
      prepare: (one) => {
        one.put(pods, pod('a'));
        one.fail(pods, answer, 1000);
      },
    });
    await until('a problem', () => reflector.state.problem !== '');
    assert.equal(reflector.state.phase, 'waiting');
    api.heal();
    await until('synced', () => reflector.state.phase === 'synced' && reflector.state.problem === '');
    assert.ok(held.has('a'));
  });
}

test('Retry-After is kept to', timeout, async (context) => {
  const { api, until, reflector } = await follow(context, {
    prepare: (one) => one.fail(pods, status(429, 'TooManyRequests', 1)),
  });
  const startedMs = performance.now();
  await until('synced', () => reflector.state.phase === 'synced');
  assert.ok(performance.now() - startedMs > 900);
  assert.equal(api.count('limit='), 2);
});

test('a watch that says nothing is taken for lost', timeout, async (context) => {
  const { api, until, held, changes } = await follow(context, {
    times: { inactivityMs: 40 },
    prepare: (one) => one.put(pods, pod('a')),
  });
  await until('a second watch', () => api.count('watch=true') >= 3);
  api.put(pods, pod('b'));
  await until('b', () => held.has('b'));
  assert.equal(changes.length, 2);
});

test('a server that is away and comes back changes nothing', timeout, async (context) => {
  const { api, until, changes, reflector, held, port, watching } = await follow(context, {
    prepare: (one) => one.put(pods, pod('a')),
  });
  await watching();
  await api.stop();
  await until('a problem', () => reflector.state.problem !== '');
  assert.equal(reflector.state.phase, 'synced');
  api.forget();
  await api.start(port);
  await watching();
  await until('all is well', () => reflector.state.problem === '');
  assert.equal(changes.length, 1);
  api.put(pods, pod('b'));
  await until('b', () => held.has('b'));
});

test('a kind that nobody has defined is absent, then comes, then goes', timeout, async (context) => {
  const { api, reflector, until, held, watching } = await follow(context, { kind: 'HTTPRoute' });
  await until('absent', () => reflector.state.phase === 'absent');
  assert.ok(api.count(definition) > 0);
  api.define(routes);
  api.put(routes, { metadata: { name: 'r', namespace: 'shop', generation: 3 }, spec: { rules: [] } });
  await until('the route', () => held.has('r'));
  assert.equal(reflector.state.phase, 'synced');
  await watching(routes);
  api.undefine(routes);
  await until('absent again', () => reflector.state.phase === 'absent' && held.size === 0);
});

test('404 proves nothing while the definition is there: an API server that starts', timeout, async (context) => {
  const served = JSON.stringify({ spec: { versions: [{ name: 'v1', served: true }] } });
  const { api, reflector, until, held, watching } = await follow(context, {
    kind: 'HTTPRoute',
    prepare: (one) => {
      one.fail(definition, (_request, response) => response.end(served), 1_000);
      one.define(routes);
      one.put(routes, { metadata: { name: 'r', namespace: 'shop' }, spec: {} });
    },
  });
  await watching(routes);
  api.fail(routes, status(404, 'NotFound'), 4);
  api.endWatches();
  await until('asked again', () => api.count(definition) >= 3);
  await watching(routes);
  assert.ok(held.has('r'));
  assert.equal(reflector.state.phase, 'synced');
});

test('another version is taken where it is the one that is served', timeout, async (context) => {
  const served = (version: string) =>
    JSON.stringify({ spec: { versions: [{ name: 'v9' }, { name: version, served: true }] } });
  const { api, until, held, reflector } = await follow(context, {
    kind: 'HTTPRoute',
    prepare: (one) => {
      one.fail(definition, (_request, response) => response.end(served('v1beta1')), 2);
      one.define(oldRoutes);
      one.put(oldRoutes, { metadata: { name: 'r', namespace: 'shop' }, spec: {} });
    },
  });
  await until('the route', () => held.has('r'));
  assert.equal(reflector.state.phase, 'synced');
  api.fail(definition, (_request, response) => response.end(served('v2')), 1_000);
  api.undefine(oldRoutes);
  await until('a problem', () => reflector.state.problem.includes('served as v2; what is read is v1, v1beta1'));
  assert.ok(held.has('r'), 'what was known stays');
});

test('without a look at definitions: 404 counts for who never knew any', timeout, async (context) => {
  const { api, until, held, reflector, watching } = await follow(context, {
    kind: 'HTTPRoute',
    prepare: (one) => one.fail(definition, status(403, 'Forbidden'), 1_000),
  });
  await until('absent', () => reflector.state.phase === 'absent');
  assert.ok(api.count('/readyz') > 0);
  api.define(routes);
  api.put(routes, { metadata: { name: 'r', namespace: 'shop' }, spec: {} });
  await until('the route', () => held.has('r'));
  await watching(routes);
  api.undefine(routes);
  await until('a problem', () => reflector.state.problem.includes('404'));
  assert.ok(held.has('r'));
});

test('403: named, what was known stays, and it is asked again', timeout, async (context) => {
  const { api, until, held, reflector, watching } = await follow(context, {
    prepare: (one) => one.fail(pods, status(403, 'Forbidden'), 1_000),
  });
  await until('refused', () => reflector.state.phase === 'refused');
  assert.match(reflector.state.problem, /403 Forbidden: Forbidden on purpose/);
  api.put(pods, pod('a'));
  api.heal();
  await until('a', () => held.has('a'));
  await watching();
  api.fail(pods, status(403, 'Forbidden'), 1_000);
  api.endWatches();
  await until('a problem', () => reflector.state.problem !== '');
  assert.equal(reflector.state.phase, 'synced');
  assert.ok(held.has('a'));
});

test('closing ends everything that is under way', timeout, async (context) => {
  const { api, reflector, watching, until } = await follow(context);
  await watching();
  await reflector.close();
  await until('no watch is left', () => api.watchers(pods) === 0);
});
