import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAllHeard, replicaWords } from './replica-words.ts';

const own = { pod: 'ambient-system/controller-a', version: '1', isThis: true, proxies: 1 };
const other = { pod: 'ambient-system/controller-b', version: '1', isThis: false, proxies: 2 };
const silent = { ...other, version: '', proxies: null };

test('replicas in a sentence', () => {
  assert.deepEqual([replicaWords([]), isAllHeard([])], ['', true]);
  assert.equal(
    replicaWords([own, other]),
    '2 replicas of the controller: controller-a (this page) with 1 proxy, controller-b with 2 proxies.',
  );
  assert.match(replicaWords([{ ...own, pod: '' }, silent]), /: this one with 1 proxy, controller-b does not answer: /);
  assert.deepEqual([isAllHeard([own, other]), isAllHeard([own, silent])], [true, false]);
});
