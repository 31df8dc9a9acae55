import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../base/manual-clock.ts';
import { status, testingApi } from './testing-api.ts';
import { TokenReviewer } from './token-review.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const reviews = '/tokenreviews';
const user = {
  username: 'system:serviceaccount:ambient-system:ambient-node',
  uid: 'account-uid',
  extra: {
    'authentication.kubernetes.io/pod-name': ['ambient-node-a'],
    'authentication.kubernetes.io/pod-uid': ['pod-uid'],
    'authentication.kubernetes.io/node-name': ['a'],
    'authentication.kubernetes.io/node-uid': ['node-uid'],
  },
};
const good = { authenticated: true, audiences: ['istio-ca'], user };

function tokenWith(claims: Readonly<Record<string, unknown>> = {}): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'RS256' })}.${encode({ aud: ['istio-ca'], exp: nowMs / 1000 + 600, ...claims })}.x`;
}

/** Answers the next `times` reviews with this status. */
async function open(context: TestContext, answer: unknown = good, times = 1) {
  const { api, client } = await testingApi(context);
  const clock = new ManualClock(nowMs);
  const reviewer = new TokenReviewer({ client, audiences: ['ambient-controller', 'istio-ca'], clock });
  const asked: unknown[] = [];
  const say = (said: unknown, count: number): void => {
    const reply = async (request: AsyncIterable<Buffer>): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      asked.push(JSON.parse(Buffer.concat(chunks).toString()));
    };
    api.fail(
      reviews,
      (request, response) => void reply(request).then(() => response.end(JSON.stringify({ status: said }))),
      count,
    );
  };
  say(answer, times);
  return { api, clock, reviewer, asked, say };
}

test('a token is reviewed for our audiences, and its answer tells what it is bound to', async (context) => {
  const { reviewer, asked } = await open(context);
  const token = tokenWith();
  assert.deepEqual(await reviewer.verify(token), {
    subject: user.username,
    audiences: ['istio-ca'],
    expiresAtMs: nowMs + 600_000,
    namespace: 'ambient-system',
    serviceAccount: { name: 'ambient-node', uid: 'account-uid' },
    pod: { name: 'ambient-node-a', uid: 'pod-uid' },
    node: { name: 'a', uid: 'node-uid' },
  });
  assert.deepEqual(asked, [
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: ['ambient-controller', 'istio-ca'] },
    },
  ]);
});

test('an answer counts for a while, and never beyond the end of the token', async (context) => {
  const { reviewer, clock, asked, say } = await open(context);
  const token = tokenWith({ exp: nowMs / 1000 + 45 });
  await Promise.all([reviewer.verify(token), reviewer.verify(token)]);
  clock.advance(29_999);
  await reviewer.verify(token);
  assert.equal(asked.length, 1);
  clock.advance(1);
  say(good, 1);
  await reviewer.verify(token);
  assert.equal(asked.length, 2);
  // Whether it has ended is asked each time from then on, since the clock that counts is another one.
  clock.advance(15_000);
  say(good, 2);
  await reviewer.verify(token);
  await reviewer.verify(token);
  assert.equal(asked.length, 4);
  clock.advance(300_000);
  await assert.rejects(reviewer.verify(token), /expired/);
  assert.equal(asked.length, 4);
});

test('a refusal counts for a shorter while; no answer does not count', async (context) => {
  const { api, reviewer, clock, asked, say } = await open(context, { error: 'it was withdrawn' });
  const token = tokenWith();
  await assert.rejects(reviewer.verify(token), { code: 'CALLER_REFUSED', message: /it was withdrawn/ });
  say(good, 1);
  await assert.rejects(reviewer.verify(token), /it was withdrawn/);
  clock.advance(5_000);
  await reviewer.verify(token);
  assert.equal(asked.length, 2);
  api.heal();
  api.fail(reviews, status(500, 'InternalError'), 1);
  const other = tokenWith({ jti: 'other' });
  await assert.rejects(reviewer.verify(other), { code: 'KUBE_API' });
  say(good, 1);
  await reviewer.verify(other);
});

const refused = [
  ['another audience', { ...good, audiences: ['api'] }, /for another audience/],
  ['no word of audiences', { authenticated: true, user }, /for another audience/],
  ['not authenticated', { user, audiences: ['istio-ca'] }, /the API server says no/],
  ['nothing at all', null, /the API server says no/],
] as const;

for (const [title, answer, message] of refused) {
  test(`an answer that is no yes: ${title}`, async (context) => {
    const { reviewer } = await open(context, answer);
    await assert.rejects(reviewer.verify(tokenWith()), { code: 'CALLER_REFUSED', message });
  });
}

const unbound = [
  ['a person', { ...user, username: 'jane' }, 'serviceAccount'],
  ['a token of no pod', { ...user, extra: {} }, 'pod'],
  [
    'two names of pods',
    { ...user, extra: { ...user.extra, [`${'authentication.kubernetes.io/'}pod-name`]: ['a', 'b'] } },
    'pod',
  ],
] as const;

for (const [title, who, field] of unbound) {
  test(`what is not bound is said to be bound to nothing: ${title}`, async (context) => {
    const { reviewer } = await open(context, { ...good, user: who });
    assert.equal((await reviewer.verify(tokenWith()))[field], null);
  });
}

test('what cannot be good is not asked about', async (context) => {
  const { reviewer, asked } = await open(context);
  const bad = ['', 'x', 'a.b.c', tokenWith({ exp: 'soon' }), tokenWith({ exp: 1 }), tokenWith({ aud: 'api' })];
  for (const token of [...bad, `${tokenWith()}${'x'.repeat(20_000)}`]) {
    await assert.rejects(reviewer.verify(token), { code: 'CALLER_REFUSED' }, token.slice(0, 80));
  }
  assert.deepEqual(asked, []);
});

test('many strangers at once do not become many questions', async (context) => {
  const { reviewer, asked } = await open(context, good, 100);
  const answers = await Promise.allSettled(
    Array.from({ length: 100 }, (_, at) => reviewer.verify(tokenWith({ jti: at }))),
  );
  assert.equal(asked.length, 32);
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 32);
});
