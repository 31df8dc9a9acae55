// Who is let in: the matrix of Istio's node authorisation (ambient-l4 §7.3), and what a token must be bound to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import type { TokenClaims } from '../identity/jwt.ts';
import { type AuthenticatorOptions, authenticate, type KnownPod } from './authenticate.ts';

const claims: TokenClaims = {
  subject: 'system:serviceaccount:ambient-system:ambient-node',
  audiences: ['istio-ca'],
  expiresAtMs: 0,
  namespace: 'ambient-system',
  serviceAccount: { name: 'ambient-node', uid: 'account-uid' },
  pod: { name: 'ambient-node-a', uid: 'pod-uid' },
  node: { name: 'a', uid: 'node-uid' },
};
const pod: KnownPod = { uid: 'pod-uid', serviceAccount: 'ambient-node', node: 'a', phase: 'Running', gateway: null };

interface Case {
  readonly claims?: Partial<TokenClaims>;
  readonly pod?: Partial<KnownPod> | null;
  readonly nodeAccounts?: readonly string[];
  readonly header?: string | null;
}

function attempt(row: Case): ReturnType<typeof authenticate> {
  const options: AuthenticatorOptions = {
    verify: (token) => {
      assert.equal(token, 'a.b.c');
      return { ...claims, ...row.claims };
    },
    nodeAccounts: row.nodeAccounts ?? ['ambient-system/ambient-node'],
    pod: (namespace, name) => {
      assert.equal(namespace, 'ambient-system');
      return row.pod === null || name !== 'ambient-node-a' ? null : { ...pod, ...row.pod };
    },
  };
  return authenticate(row.header === undefined ? 'Bearer a.b.c' : row.header, options);
}

test('trusted account, existing pod: let in, on the node of the pod', async () => {
  const expected = {
    kind: 'node',
    namespace: 'ambient-system',
    serviceAccount: 'ambient-node',
    pod: 'ambient-node-a',
    node: 'a',
  };
  assert.deepEqual(await attempt({}), expected);
  assert.deepEqual(
    await attempt({ claims: { node: null }, pod: { phase: 'Pending' } }),
    expected,
    'older clusters name no node',
  );
});

test("a waypoint's pod: let in as that, under the account that bears its Gateway's name alone", async () => {
  const asWaypoint = { nodeAccounts: [], pod: { gateway: 'ambient-node' } };
  assert.equal((await attempt(asWaypoint)).kind, 'waypoint');
  await assert.rejects(attempt({ nodeAccounts: [], pod: { gateway: 'other' } }), /nor is its pod a waypoint/);
  await assert.rejects(attempt({ ...asWaypoint, pod: { gateway: 'ambient-node', uid: 'new-uid' } }), /another uid/);
});

const refused: readonly (readonly [title: string, row: Case, reason: RegExp])[] = [
  ['no header', { header: null }, /no bearer token/],
  ['another scheme', { header: 'Basic a.b.c' }, /no bearer token/],
  ['an empty token', { header: 'Bearer ' }, /no bearer token/],
  [
    'an account that is not trusted',
    {
      claims: {
        subject: 'system:serviceaccount:ambient-system:web',
        serviceAccount: { name: 'web', uid: 'u' },
      },
    },
    /not the account of a node proxy/,
  ],
  ['no trusted accounts configured', { nodeAccounts: [] }, /not the account of a node proxy/],
  [
    'a subject that is not the bound account',
    { claims: { subject: 'system:serviceaccount:x:admin' } },
    /is not the service account/,
  ],
  ['a token bound to no account', { claims: { serviceAccount: null } }, /bound to no service account/],
  ['a token bound to no pod', { claims: { pod: null } }, /bound to no pod/],
  ['a pod name that is not known', { claims: { pod: { name: 'other', uid: 'pod-uid' } } }, /is not known/],
  ['a pod that has gone', { pod: null }, /is not known/],
  ['a pod of that name with another uid', { pod: { uid: 'new-uid' } }, /another uid/],
  ['a pod that runs as another account', { pod: { serviceAccount: 'web' } }, /runs as web/],
  ['a pod that has failed', { pod: { phase: 'Failed' } }, /has finished/],
  ['a pod that has succeeded', { pod: { phase: 'Succeeded' } }, /has finished/],
  ['a pod that is on no node yet', { pod: { node: '' } }, /on no node/],
  ['a token for another node than the pod is on', { pod: { node: 'b' } }, /on node b, its token is for a/],
];

for (const [title, row, reason] of refused) {
  test(`a caller is refused: ${title}`, async () => {
    await assert.rejects(
      attempt(row),
      (error) => error instanceof MeshError && error.code === 'CALLER_REFUSED' && reason.test(error.message),
    );
  });
}
