import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestAuthority } from '../../test/direct/support/authority.ts';
import type { MeshError } from '../base/errors.ts';
import { CredentialStore } from './data-thread-credentials.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const authority = new TestAuthority();

function setUp(options: { waitersMax?: number; waitMs?: number } = {}) {
  const asked: string[] = [];
  const time = { nowMs: Date.now() };
  const store = new CredentialStore({
    trustDomain: 'cluster.local',
    ask: (identity) => asked.push(identity),
    waitersMax: options.waitersMax ?? 10,
    waitMs: options.waitMs ?? 60_000,
    now: () => time.nowMs,
  });
  const ends: string[] = [];
  const want = (): (() => void) =>
    store.want(web, (error: MeshError | null, credentials) => ends.push(error?.code ?? `#${credentials?.generation}`));
  return { store, asked, ends, want, time };
}

test('asks once however many wait, and serves all of them; later ones at once', () => {
  const { store, asked, ends, want } = setUp();
  want();
  want();
  assert.deepEqual([asked, ends], [[web], []]);
  store.set(authority.issue(web));
  want();
  assert.deepEqual([asked, ends], [[web], ['#1', '#1', '#1']]);
  assert.equal(store.waiting, 0);
});

test('a renewed certificate has another generation', () => {
  const { store, ends, want } = setUp();
  store.set(authority.issue(web));
  store.set(authority.issue(web));
  want();
  assert.deepEqual(ends, ['#2']);
});

test('one out of date is not used, but asked for again', () => {
  const { store, asked, want, time } = setUp();
  store.set(authority.issue(web));
  time.nowMs += 2 * 3_600_000;
  want();
  assert.deepEqual(asked, [web]);
  assert.equal(store.peek(web), null);
  store.close();
});

test('a failure ends those who wait, keeps what is in date, and the next one asks again', () => {
  const { store, asked, ends, want } = setUp();
  want();
  store.fail(web, 'the controller is away');
  want();
  assert.deepEqual([asked, ends], [[web, web], ['NO_CERTIFICATE']]);
  store.set(authority.issue(web));
  store.fail(web, 'renewal failed');
  assert.notEqual(store.peek(web), null);
});

test('no answer in time is a failure; more than waitersMax wait for nothing', async () => {
  const { ends, want } = setUp({ waitersMax: 1, waitMs: 5 });
  want();
  want();
  assert.deepEqual(ends, ['LIMIT_REACHED']);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(ends, ['LIMIT_REACHED', 'NO_CERTIFICATE']);
});

test('who gives up is not called; forgotten credentials are gone', () => {
  const { store, ends, want } = setUp();
  want()();
  store.set(authority.issue(web));
  store.forget(web);
  assert.deepEqual(ends, []);
  assert.equal(store.size, 0);
});

test('a chain that does not fit its key is a failure, not a crash', () => {
  const { store, ends, want } = setUp();
  want();
  store.set({ ...authority.issue(web), keyPem: authority.issue(web).keyPem });
  assert.deepEqual(ends, ['NO_CERTIFICATE']);
});
