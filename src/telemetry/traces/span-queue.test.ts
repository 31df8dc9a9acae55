// The way of spans to a receiver that is well, slow, busy, choosy or not there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../base/clock.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { projectFile } from '../../base/project-files.ts';
import { otlpDelivery } from './otlp-http.ts';
import { Span, SpanKind } from './span.ts';
import { type Deliver, type Delivery, SpanQueue } from './span-queue.ts';
import { partialSuccess, plainReceiver, TestReceiver } from './testing-receiver.ts';

const origin = { resource: { attributes: {} }, instrumentationScope: { name: 'test', version: '1' } };

function spanOf(name = 'GET'): Span {
  return new Span(
    {
      ...{ name, kind: SpanKind.Server, traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentId: '', state: '' },
      ...{ isRemote: false, startMs: 1_700_000_000_000.25, endMs: 1_700_000_000_001, error: null },
      attributes: { text: 'ä', count: 7, share: 0.5, is: true },
    },
    origin,
  );
}

const taken: Delivery = { kind: 'taken', rejected: 0, reason: '' };
const busy: Delivery = { kind: 'failed', reason: 'it answered 503', afterMs: -1 };

/** A queue on simulated time; `answers` are given in turn, the last one for ever. */
function queueOf(answers: readonly Delivery[], queuedSpansMax = 1_000) {
  const clock = new ManualClock();
  const batches: number[] = [];
  const said: string[] = [];
  const deliver: Deliver = (spans) => {
    batches.push(spans.length);
    return Promise.resolve(answers[Math.min(batches.length, answers.length) - 1]!);
  };
  const notice = (message: string): void => void said.push(message);
  const load = (): Promise<Deliver> => Promise.resolve(deliver);
  const queue = new SpanQueue({ queuedSpansMax, load, clock, random: () => 0, notice });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    for (let turn = 0; turn < 5; turn++) await nextTurn();
  };
  const add = (count: number): void => {
    for (let at = 0; at < count; at++) queue.add(spanOf());
  };
  return { queue, batches, said, pass, add };
}

test('spans wait for others for a second, a whole batch goes at once', async () => {
  const { queue, batches, pass, add } = queueOf([taken]);
  add(3);
  await pass(900);
  assert.deepEqual(batches, []);
  await pass(100);
  add(128);
  await pass(0);
  assert.deepEqual([batches, queue.exported, queue.size], [[3, 128], 131, 0]);
});

test('a batch is tried again ever more seldom, then lost and counted; one line says so', async () => {
  const { queue, batches, said, pass, add } = queueOf([busy]);
  add(2);
  await pass(1_000);
  for (const ms of [1_000, 2_000, 4_000, 8_000]) await pass(ms);
  assert.deepEqual([batches.length, queue.dropped.unreachable, queue.size], [5, 2, 0]);
  assert.equal(said.length, 1);
});

test('while the receiver is away the queue fills up and no more is sent than before', async () => {
  const { queue, batches, said, pass, add } = queueOf([busy], 200);
  for (let second = 0; second < 120; second++) {
    add(50);
    await pass(1_000);
  }
  assert.ok(batches.length <= 12, `${batches.length} posts in two minutes`);
  assert.ok(queue.size <= 200);
  const { unreachable, queue: noRoom } = queue.dropped;
  assert.equal(unreachable + noRoom + queue.size, 120 * 50);
  assert.ok(said.length <= 3, said.join());
});

test('it goes on when the receiver is back, and says so', async () => {
  const { queue, said, pass, add } = queueOf([busy, taken]);
  add(1);
  await pass(1_000);
  await pass(1_000);
  assert.equal(queue.exported, 1);
  assert.deepEqual(said.length, 2);
});

test('a receiver says when to come again, within bounds', async () => {
  const { batches, pass, add } = queueOf([{ ...busy, afterMs: 7_000 }, { ...busy, afterMs: 1e9 }, taken]);
  add(1);
  await pass(1_000);
  await pass(6_900);
  assert.equal(batches.length, 1);
  await pass(100);
  assert.equal(batches.length, 2);
  await pass(30_000);
  assert.equal(batches.length, 3);
});

test('what cannot be loaded is counted, and ends nothing', async () => {
  const clock = new ManualClock();
  const load = (): Promise<Deliver> => Promise.reject(new Error('no such module'));
  const queue = new SpanQueue({ queuedSpansMax: 9, load, clock, random: Math.random, notice: () => {} });
  queue.add(spanOf());
  clock.advance(1_000);
  for (let turn = 0; turn < 5; turn++) await nextTurn();
  assert.equal(queue.dropped.refused, 1);
});

test('at its end it delivers what waits, batch after batch', async () => {
  const { queue, batches, add } = queueOf([taken]);
  add(127);
  await queue.close(1_000);
  assert.deepEqual([batches, queue.exported], [[127], 127]);
  add(1);
  assert.equal(queue.dropped.shutdown, 1);
});

test('and counts what it cannot deliver in time', async () => {
  const { queue, said, pass, add } = queueOf([busy]);
  add(4);
  const closed = queue.close(1_500);
  for (let at = 0; at < 4; at++) await pass(500);
  await closed;
  assert.deepEqual([queue.dropped.shutdown, queue.size, said.at(-1)], [4, 0, 'spans are lost at shutdown']);
});

async function receiverOf(t: TestContext): Promise<{ receiver: TestReceiver; deliver: Deliver }> {
  const receiver = new TestReceiver();
  const deliver = otlpDelivery({ ...plainReceiver, endpoint: await receiver.listen() }, systemClock);
  t.after(() => receiver.close());
  return { receiver, deliver };
}

const never = new AbortController().signal;

test('a span over the wire is what it was', async (t) => {
  const { receiver, deliver } = await receiverOf(t);
  assert.deepEqual(await deliver([spanOf()], never), taken);
  const [span] = receiver.spans;
  assert.deepEqual(span!.attributes, { text: 'ä', count: 7, share: 0.5, is: true });
  assert.deepEqual([span!.traceId, span!.spanId, span!.parentId], ['a'.repeat(32), 'b'.repeat(16), '']);
  assert.deepEqual([span!.startMs, span!.endMs], [1_700_000_000_000.25, 1_700_000_000_001]);
});

const replies: readonly (readonly [status: number, headers: Record<string, string>, Delivery])[] = [
  [429, { 'retry-after': '3' }, { kind: 'failed', reason: 'it answered 429', afterMs: 3_000 }],
  [503, {}, busy],
  [503, { 'retry-after': 'soon' }, busy],
  [400, {}, { kind: 'refused', reason: 'it answered 400' }],
  [
    401,
    {},
    { kind: 'refused', reason: 'it answered 401: what it asks for goes into headers of tracing.credentialsDir' },
  ],
  [301, { location: 'http://elsewhere' }, { kind: 'refused', reason: 'it answered 301' }],
];

for (const [status, headers, delivery] of replies) {
  test(`an answer of ${status} ${JSON.stringify(headers)}`, async (t) => {
    const { receiver, deliver } = await receiverOf(t);
    receiver.reply = (_, response) => void response.writeHead(status, headers).end('why');
    assert.deepEqual(await deliver([spanOf()], never), delivery);
  });
}

test('spans that the receiver took only a part of', async (t) => {
  const { receiver, deliver } = await receiverOf(t);
  receiver.reply = (_, response) => void response.end(partialSuccess(1, 'too old'));
  assert.deepEqual(await deliver([spanOf(), spanOf()], never), { kind: 'taken', rejected: 1, reason: 'too old' });
  receiver.reply = (_, response) => void response.end('\xff\xff\xff nonsense');
  assert.deepEqual(await deliver([spanOf()], never), taken);
  receiver.reply = (_, response) => void response.end(Buffer.alloc(1_000_000));
  assert.equal((await deliver([spanOf()], never)).kind, 'failed');
});

test('nobody there, and nobody who answers in time', async (t) => {
  const { receiver, deliver } = await receiverOf(t);
  receiver.reply = () => {};
  const gaveUp = new AbortController();
  const slow = deliver([spanOf()], gaveUp.signal);
  await receiver.until(() => receiver.posts === 1);
  gaveUp.abort();
  assert.deepEqual(await slow, { kind: 'failed', reason: 'no answer in time', afterMs: -1 });
  receiver.close();
  const delivery = await deliver([spanOf()], never);
  assert.equal(delivery.kind, 'failed');
});

test('a queue delivers over HTTP by itself', async (t) => {
  const { receiver, deliver } = await receiverOf(t);
  const load = (): Promise<Deliver> => Promise.resolve(deliver);
  const clock = systemClock;
  const queue = new SpanQueue({ queuedSpansMax: 500, load, clock, random: Math.random, notice: () => {} });
  for (let at = 0; at < 300; at++) queue.add(spanOf(`${at}`));
  await queue.close(20_000);
  const names = receiver.spans.map(({ name }) => Number(name));
  assert.deepEqual(names, [...names.keys()]);
  assert.deepEqual([queue.exported, receiver.posts], [300, 3]);
});

test('without a receiver no module of OpenTelemetry is loaded, and with one it is', { timeout: 60_000 }, async () => {
  const script = `
    import { isMainThread } from 'node:worker_threads';
    const { DataPath } = await import(${JSON.stringify(projectFile('src/proxy/data-path.ts'))});
    const { createRequire } = await import('node:module');
    await import(${JSON.stringify(projectFile('src/waypoint/data-thread.ts'))});
    await import(${JSON.stringify(projectFile('src/node/data-thread.ts'))});
    const { Tracer } = await import(${JSON.stringify(projectFile('src/telemetry/traces/tracer.ts'))});
    const { cache } = createRequire(import.meta.url);
    const loaded = () => Object.keys(cache).filter((file) => file.includes('@opentelemetry')).length;
    const before = loaded();
    const origin = { resource: { attributes: {} }, instrumentationScope: { name: 't', version: '1' } };
    const config = { endpoint: 'http://127.0.0.1:1', samplingPercent: 1, namespaces: {}, queuedSpansMax: 9,
      credentialsDir: '', compression: 'none' };
    const tracer = new Tracer({ config, origin, clock: { now: Date.now, after: () => () => {} }, random: () => 0,
      notice: () => {} });
    const made = loaded();
    tracer.end({ name: 'x', kind: 1, traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentId: '', isRemote: false,
      state: '', startMs: 1, endMs: 2, attributes: {}, error: null });
    void tracer.close(1000);
    while (loaded() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(JSON.stringify({ isMainThread, before, made, after: loaded() > 0, path: typeof DataPath }));
    process.exit(0);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  assert.deepEqual(JSON.parse(stdout), { isMainThread: true, before: 0, made: 0, after: true, path: 'function' });
});
