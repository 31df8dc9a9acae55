import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestJudge, Verdict } from './context.ts';
import type { Exchange } from './exchange.ts';
import { LiveRequests } from './live-requests.ts';

/** What the list needs of a request. */
function requestOf(name: string, verdict: Partial<Verdict> | null = {}) {
  const refused: string[] = [];
  const fake = { client: name, verdict, over: false, newer: null, older: null, refuse: () => refused.push(name) };
  return { exchange: fake as unknown as Exchange, refused };
}

const judgeOf = (asked: string[], isStale = (_name: string): boolean => true): RequestJudge => ({
  judge: () => assert.fail('each was judged before'),
  isStale: (client) => isStale(client as unknown as string),
  rejudge: (client) => {
    asked.push(client as unknown as string);
    return { allowed: (client as unknown as string) !== 'bad' } as Verdict;
  },
});

test('the newest first, whoever leaves', () => {
  const live = new LiveRequests();
  const all = ['a', 'b', 'c', 'd'].map((name) => requestOf(name).exchange);
  for (const each of all) live.add(each);
  const names = (): unknown[] => [...live].map(({ client }) => client);
  assert.deepEqual([names(), live.size], [['d', 'c', 'b', 'a'], 4]);
  const [a, b, c, d] = all;
  live.delete(b!);
  assert.deepEqual(names(), ['d', 'c', 'a']);
  live.delete(d!);
  live.delete(a!);
  assert.deepEqual([names(), live.size], [['c'], 1]);
  live.delete(c!);
  assert.deepEqual([names(), live.size], [[], 0]);
});

test('judged again: who was judged and may be concerned; who is refused ends', () => {
  const live = new LiveRequests();
  const bad = requestOf('bad');
  for (const { exchange } of [bad, requestOf('good'), requestOf('same'), requestOf('unjudged', null)])
    live.add(exchange);
  const asked: string[] = [];
  live.policiesChanged(judgeOf(asked, (name) => name !== 'same'));
  assert.deepEqual([asked, bad.refused], [['good', 'bad'], ['bad']]);
});

test('a batch per turn; what ends while it waits is not asked about', async () => {
  const live = new LiveRequests(2);
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => requestOf(name).exchange);
  for (const each of all) live.add(each);
  const asked: string[] = [];
  const judge = judgeOf(asked);
  live.policiesChanged(judge);
  assert.deepEqual(asked, ['e', 'd']);
  live.delete(all[1]!);
  live.policiesChanged(judge);
  while (asked.length < 6) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(asked, ['e', 'd', 'c', 'a', 'e', 'd']);
});
