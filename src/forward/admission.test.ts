import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Descriptors } from '../base/descriptors.ts';
import { MeshError } from '../base/errors.ts';
import { Admission, descriptorsFor } from './admission.ts';
import { Connection } from './connection.ts';
import { SharedUse, slotOf, totalSlot } from './shared-use.ts';
import { testAdmission } from './testing-admission.ts';
import { pod } from './testing-mesh.ts';

const web = pod('web', 'n1', '10.0.1.2');
const cart = pod('cart', 'n1', '10.0.1.3');
const end = { address: '10.0.1.2', port: 1, workload: null, identity: null };
const connection = (): Connection => new Connection('0-1', 'outbound', end, end);

/** The name of the limit that refuses, or null. */
function refusal(attempt: () => void): string | null {
  try {
    attempt();
    return null;
  } catch (error) {
    assert(error instanceof MeshError && error.code === 'LIMIT_REACHED', String(error));
    assert.equal(error.flag, 'OVERLOAD');
    assert.match(error.message, new RegExp(`limit ${error.details.limit} of`));
    return String(error.details.limit);
  }
}

test('a pod at its limit is refused alone, each side by itself, and is let in again when one ends', () => {
  const admission = testAdmission({ connectionsPerPodMax: 2 });
  const first = connection();
  admission.add();
  admission.bind(first, web, 'source');
  admission.bind(connection(), web, 'source');
  assert.equal(
    refusal(() => admission.bind(connection(), web, 'source')),
    'connectionsPerPodMax',
  );
  assert.equal(
    refusal(() => admission.bind(connection(), web, 'destination')),
    null,
  );
  assert.equal(
    refusal(() => admission.bind(connection(), cart, 'source')),
    null,
  );
  admission.remove(first);
  assert.equal(
    refusal(() => admission.bind(connection(), web, 'source')),
    null,
  );
});

test('data threads share the limits, and a dead thread holds nothing', () => {
  const use = new SharedUse(2);
  const limits = { connectionsMax: 3, connectionsPerPodMax: 2, descriptorsMax: 1000 };
  const descriptors = { limit: 1000, accept: () => 0 };
  const threads = [0, 1].map((threadId) => {
    const shared = new SharedUse(use.memory);
    return new Admission({ limits, use: shared, descriptors, threadId });
  });
  const [one, other] = threads as [Admission, Admission];
  one.add();
  one.add();
  other.add();
  assert.equal(
    refusal(() => other.add()),
    'connectionsMax',
  );
  one.bind(connection(), web, 'source');
  other.bind(connection(), web, 'source');
  assert.equal(
    refusal(() => one.bind(connection(), web, 'source')),
    'connectionsPerPodMax',
  );
  use.clear(0);
  assert.equal(use.sum(totalSlot), 1);
  assert.equal(use.sum(slotOf(web.uid, 'source')), 1);
  other.add();
});

test('limits are read at every connection', () => {
  const limits = { connectionsMax: 1, connectionsPerPodMax: 1, descriptorsMax: 1000 };
  const descriptors = { limit: 1000, accept: () => 0 };
  const admission = new Admission({ limits, use: new SharedUse(1), descriptors, threadId: 0 });
  admission.add();
  assert.equal(
    refusal(() => admission.add()),
    'connectionsMax',
  );
  limits.connectionsMax = 2;
  admission.add();
});

test('descriptors: refused before they are used up; when they get scarce, first to who has the most', () => {
  let used = 0;
  const admission = testAdmission({}, { limit: 1000, used: () => used });
  const allowed = descriptorsFor(1_000_000, 1000);
  assert.equal(allowed, 875, 'an eighth is kept');
  for (let count = 0; count < 120; count++) {
    admission.add();
    admission.bind(connection(), web, 'source');
  }
  used = allowed * 0.8;
  admission.add();
  assert.equal(
    refusal(() => admission.bind(connection(), web, 'source')),
    'descriptorsMax',
  );
  assert.equal(
    refusal(() => admission.bind(connection(), cart, 'source')),
    null,
  );
  used = allowed + 1;
  assert.equal(
    refusal(() => admission.add()),
    'descriptorsMax',
  );
});

test('descriptorsMax holds where it is less than RLIMIT_NOFILE leaves', () => {
  assert.equal(descriptorsFor(500, 100_000), 500);
  assert.equal(descriptorsFor(1_000_000, 100_000), 100_000 - 256);
  assert.equal(descriptorsFor(500, Number.POSITIVE_INFINITY), 500);
});

test('descriptors are counted now and then, and reckoned with in between', () => {
  let nowMs = 0;
  let looks = 0;
  const count = (): number => {
    looks++;
    return 100;
  };
  const descriptors = new Descriptors({ limit: 1000, count, now: () => nowMs });
  assert.equal(descriptors.accept(), 102);
  for (let more = 0; more < 31; more++) descriptors.accept();
  assert.equal(looks, 1);
  assert.equal(descriptors.accept(), 102);
  assert.equal(looks, 2);
  nowMs = 1000;
  descriptors.accept();
  assert.equal(looks, 3);
});

test('the process knows its own limit and its own use', () => {
  const descriptors = new Descriptors();
  assert(descriptors.limit > 10, String(descriptors.limit));
  assert(descriptors.accept() > 3);
});
