// Who may do what: tokens, reviews, roles, webhooks.
import assert from 'node:assert/strict';
import { type ApiCase, configMap, eventually, ok, pod, refused, type Scene } from './api-case.ts';
import type { Json } from './api-client.ts';
import { startWebhook, type WebhookDouble } from './webhook-double.ts';

const rbac = 'rbac.authorization.k8s.io/v1';
const reviews = '/apis/authentication.k8s.io/v1/tokenreviews';
/** Where the API server finds webhooks of this process. */
const webhookHost = process.env.AMBIENT_WEBHOOK_HOST ?? '127.0.0.1';

async function account(scene: Scene, name = 'robot', spec: object = {}): Promise<Json> {
  const { api, path } = scene;
  const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
  const made = await api.post(path('serviceaccounts'), body);
  assert([201, 409].includes(made.status), JSON.stringify(made.body));
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec };
  return ok(await api.post(`${path('serviceaccounts')}/${name}/token`, request), 201);
}

async function grant(scene: Scene, role: string, rules: object[]): Promise<void> {
  const { api, path, namespace } = scene;
  const body = { apiVersion: rbac, kind: 'Role', metadata: { name: role }, rules };
  ok(await api.post(path('roles', rbac), body), 201);
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: role };
  const subjects = [{ kind: 'ServiceAccount', name: 'robot', namespace }];
  const binding = { apiVersion: rbac, kind: 'RoleBinding', metadata: { name: role }, roleRef, subjects };
  ok(await api.post(path('rolebindings', rbac), binding), 201);
}

async function reviewed(scene: Scene, token: string, audiences?: string[]): Promise<Json> {
  const spec = { token, ...(audiences === undefined ? {} : { audiences }) };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec };
  return ok(await scene.api.post(reviews, body), 201).status;
}

const tokens: readonly ApiCase[] = [
  {
    name: 'nobody may nothing, and a wrong token is refused',
    run: async ({ api, path }) => {
      const anonymous = await api.get(path('pods'), { token: null });
      refused(anonymous, 403, 'Forbidden', /User "system:anonymous" cannot list resource "pods" in API group ""/);
      refused(await api.get(path('pods'), { token: 'nonsense' }), 401, 'Unauthorized', /^Unauthorized$/);
      ok(await api.get('/version', { token: null }));
    },
  },
  {
    name: 'a token of a service account: who it is, for whom, until when',
    run: async (scene) => {
      const { namespace } = scene;
      const { status, spec } = await account(scene, 'robot', { audiences: ['ambient-test'], expirationSeconds: 900 });
      assert.equal(spec.expirationSeconds, 900);
      const leftMs = Date.parse(status.expirationTimestamp) - Date.now();
      assert(leftMs > 0 && leftMs < 1_000_000, status.expirationTimestamp);
      const found = await reviewed(scene, status.token, ['other', 'ambient-test']);
      assert.equal(found.authenticated, true);
      assert.deepEqual(found.audiences, ['ambient-test']);
      assert.equal(found.user.username, `system:serviceaccount:${namespace}:robot`);
      const groups = ['system:authenticated', 'system:serviceaccounts', `system:serviceaccounts:${namespace}`];
      assert.deepEqual([...found.user.groups].sort(), groups);
      const other = await reviewed(scene, status.token, ['other']);
      assert.notEqual(other.authenticated, true);
      assert.notEqual(other.error, undefined);
      // Of another audience than the API server's, it does not open the API server either.
      refused(await scene.api.get(scene.path('pods'), { token: status.token }), 401, 'Unauthorized');
      assert.notEqual((await reviewed(scene, 'nonsense')).authenticated, true);
    },
  },
  {
    name: 'a token that is bound to a pod says so, and ends with it',
    run: async (scene) => {
      const { api, path } = scene;
      await account(scene);
      const made = ok(await api.post(path('pods'), pod('p', { serviceAccountName: 'robot', nodeName: 'n' })), 201);
      const { uid } = made.metadata;
      const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'p', uid };
      const audiences = ['ambient-test'];
      const { status } = await account(scene, 'robot', { audiences, boundObjectRef });
      const found = await reviewed(scene, status.token, audiences);
      assert.deepEqual(found.user.extra['authentication.kubernetes.io/pod-name'], ['p']);
      assert.deepEqual(found.user.extra['authentication.kubernetes.io/pod-uid'], [uid]);
      ok(await api.delete(`${path('pods')}/p`, { gracePeriodSeconds: 0 }));
      await eventually(async () =>
        assert.notEqual((await reviewed(scene, status.token, audiences)).authenticated, true),
      );
    },
  },
  {
    name: 'a token for a shorter life than ten minutes, or of nobody, is refused',
    run: async (scene) => {
      const { api, path } = scene;
      await account(scene);
      const short = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 60 } };
      refused(await api.post(`${path('serviceaccounts')}/robot/token`, short), 422, 'Invalid', /10 minutes/);
      const none = { ...short, spec: {} };
      refused(await api.post(`${path('serviceaccounts')}/nobody/token`, none), 404, 'NotFound');
    },
  },
];

const roles: readonly ApiCase[] = [
  {
    name: 'roles: what is granted works, the rest is named',
    run: async (scene) => {
      const { api, path, namespace } = scene;
      const { token } = (await account(scene)).status;
      const as = { token };
      const words = new RegExp(
        `^pods is forbidden: User "system:serviceaccount:${namespace}:robot" cannot list resource "pods" in API group "" in the namespace "${namespace}"$`,
      );
      const status = refused(await api.get(path('pods'), as), 403, 'Forbidden', words);
      assert.deepEqual(status.details, { kind: 'pods' });
      await grant(scene, 'reader', [{ apiGroups: [''], resources: ['pods', 'pods/status'], verbs: ['get', 'list'] }]);
      await grant(scene, 'one', [
        { apiGroups: [''], resources: ['configmaps'], resourceNames: ['mine'], verbs: ['get'] },
      ]);
      await eventually(async () => void ok(await api.get(path('pods'), as)));
      refused(await api.get(`${path('pods')}?watch=1`, as), 403, 'Forbidden', /cannot watch resource "pods"/);
      refused(await api.post(path('pods'), pod('p'), as), 403, 'Forbidden', /cannot create resource "pods"/);
      refused(await api.get('/api/v1/pods', as), 403, 'Forbidden', /at the cluster scope/);
      const other = await api.patch('merge', `${path('deployments', 'apps/v1')}/d/status`, {}, as);
      refused(
        other,
        403,
        'Forbidden',
        /deployments\.apps "d" is forbidden: .*cannot patch resource "deployments\/status"/,
      );
      ok(await api.post(path('configmaps'), configMap('mine')), 201);
      ok(await api.get(`${path('configmaps')}/mine`, as));
      refused(await api.get(`${path('configmaps')}/other`, as), 403, 'Forbidden');
      ok(await api.get('/apis', as));
    },
  },
  {
    name: 'access reviews: of oneself and of others',
    run: async (scene) => {
      const { api, namespace } = scene;
      const { token } = (await account(scene)).status;
      await grant(scene, 'reader', [{ apiGroups: ['apps'], resources: ['*'], verbs: ['get'] }]);
      const group = 'authorization.k8s.io/v1';
      const ask = async (kind: string, spec: object, as: { token?: string }): Promise<boolean> => {
        const body = { apiVersion: group, kind, metadata: {}, spec };
        return ok(await api.post(`/apis/${group}/${kind.toLowerCase()}s`, body, as), 201).status.allowed;
      };
      const may = (verb: string, resource: string) => ({
        resourceAttributes: { verb, group: 'apps', resource, namespace },
      });
      const user = { user: `system:serviceaccount:${namespace}:robot`, groups: ['system:authenticated'] };
      await eventually(async () => {
        assert.equal(await ask('SelfSubjectAccessReview', may('get', 'deployments'), { token }), true);
      });
      assert.equal(await ask('SelfSubjectAccessReview', may('delete', 'deployments'), { token }), false);
      assert.equal(await ask('SubjectAccessReview', { ...user, ...may('get', 'deployments') }, {}), true);
      assert.equal(await ask('SubjectAccessReview', { ...user, ...may('list', 'deployments') }, {}), false);
      const path = { nonResourceAttributes: { verb: 'get', path: '/version' } };
      assert.equal(await ask('SubjectAccessReview', { ...user, ...path }, {}), true);
    },
  },
  {
    name: 'an administrator may be somebody else',
    run: async (scene) => {
      const { api, path, namespace } = scene;
      const headers = { 'impersonate-user': `system:serviceaccount:${namespace}:robot` };
      refused(await api.get(path('pods'), { headers }), 403, 'Forbidden', /robot" cannot list/);
      const { token } = (await account(scene)).status;
      const other = { token, headers: { 'impersonate-user': 'admin' } };
      refused(await api.get(path('pods'), other), 403, 'Forbidden', /cannot impersonate/);
    },
  },
];

interface HookOptions {
  readonly failurePolicy?: string;
  readonly timeoutSeconds?: number;
  readonly url?: string;
}

async function register(scene: Scene, hook: WebhookDouble, options: HookOptions = {}): Promise<string> {
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  const name = `test-${scene.unique}`;
  scene.clean(`${path}/${name}`);
  const { url = hook.url, ...rest } = options;
  const rules = [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['configmaps'] },
  ];
  const webhook = {
    name: 'test.ambient.test',
    clientConfig: { url, caBundle: hook.caBundle },
    rules,
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': scene.namespace } },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    ...rest,
  };
  const kind = 'ValidatingWebhookConfiguration';
  const body = { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name }, webhooks: [webhook] };
  ok(await scene.api.post(path, body), 201);
  return `${path}/${name}`;
}

async function withWebhook(verdict: (request: Json) => object | null, run: (hook: WebhookDouble) => Promise<void>) {
  const hook = await startWebhook(webhookHost, verdict);
  try {
    await run(hook);
  } finally {
    await hook.close();
  }
}

const noWords = { allowed: false, status: { message: 'not while I am here' } };

const webhooks: readonly ApiCase[] = [
  {
    name: 'a webhook refuses in its own words, and sees what is meant',
    run: (scene) =>
      withWebhook(
        ({ object }) => (object?.data?.bad === undefined ? { allowed: true, warnings: ['careful'] } : noWords),
        async (hook) => {
          const { api, path, namespace } = scene;
          await register(scene, hook);
          const words = /^admission webhook "test\.ambient\.test" denied the request: not while I am here$/;
          let at = 0;
          await eventually(async () => {
            const answer = await api.post(path('configmaps'), configMap(`bad-${at++}`, { bad: 'x' }));
            assert.equal(answer.status, 400, JSON.stringify(answer.body));
            assert.match(answer.body.message, words);
            assert.deepEqual([answer.body.reason, answer.body.details], [undefined, undefined]);
          });
          const good = await api.post(path('configmaps'), configMap('good'));
          assert.equal(ok(good, 201).metadata.name, 'good');
          assert.match(String(good.headers.warning), /careful/);
          ok(await api.delete(`${path('configmaps')}/good`));
          const last = hook.asked.at(-1);
          assert.deepEqual([last.operation, last.name, last.namespace], ['DELETE', 'good', namespace]);
          assert.deepEqual(last.resource, { group: '', version: 'v1', resource: 'configmaps' });
          assert.deepEqual([last.object, last.oldObject.metadata.name], [null, 'good']);
          const first = hook.asked.find(({ name }) => name === 'good');
          assert.deepEqual([first.operation, first.oldObject, first.object.kind], ['CREATE', null, 'ConfigMap']);
        },
      ),
  },
  {
    name: 'a webhook that does not answer: closed refuses, open lets through',
    run: (scene) =>
      withWebhook(
        () => null,
        async (hook) => {
          const { api, path } = scene;
          const own = await register(scene, hook, { timeoutSeconds: 1, failurePolicy: 'Fail' });
          let at = 0;
          await eventually(async () => {
            const answer = await api.post(path('configmaps'), configMap(`closed-${at++}`));
            refused(
              answer,
              500,
              'InternalError',
              /failed calling webhook "test\.ambient\.test": failed to call webhook/,
            );
          });
          const change = [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }];
          ok(await api.patch('json', own, change));
          await eventually(async () => void ok(await api.post(path('configmaps'), configMap(`open-${at++}`)), 201));
        },
      ),
  },
];

const others: readonly ApiCase[] = [
  {
    name: 'a lease is taken by one, and the other sees that it came second',
    run: async ({ api, path }) => {
      const leases = path('leases', 'coordination.k8s.io/v1');
      const spec = { holderIdentity: 'a', leaseDurationSeconds: 15, renewTime: '2026-01-31T12:00:00.000000Z' };
      const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'leader' }, spec };
      const made = ok(await api.post(leases, body), 201);
      assert.equal(made.spec.renewTime, '2026-01-31T12:00:00.000000Z');
      const take = (holderIdentity: string): Json => ({ ...made, spec: { ...made.spec, holderIdentity } });
      const both = await Promise.all(['b', 'c'].map((name) => api.put(`${leases}/leader`, take(name))));
      assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409]);
    },
  },
  {
    name: 'events of an object are found by it',
    run: async ({ api, path, namespace }) => {
      const involvedObject = { kind: 'Pod', namespace, name: 'p', apiVersion: 'v1' };
      const event = (name: string, object: object): Json => ({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace },
        involvedObject: object,
        reason: 'Refused',
        message: 'why',
        type: 'Warning',
        source: { component: 'ambient' },
      });
      ok(await api.post(path('events'), event('one', involvedObject)), 201);
      ok(await api.post(path('events'), event('two', { ...involvedObject, name: 'q' })), 201);
      const query = 'fieldSelector=involvedObject.name%3Dp,involvedObject.kind%3DPod,reason%3DRefused';
      const found = ok(await api.get(`${path('events')}?${query}`)).items;
      assert.deepEqual(
        found.map((each: Json) => each.metadata.name),
        ['one'],
      );
    },
  },
];

export const accessCases: readonly ApiCase[] = [...tokens, ...roles, ...webhooks, ...others];
