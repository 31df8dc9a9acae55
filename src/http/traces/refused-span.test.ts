// A request that no codec takes is seen nevertheless: a span, a record, a counter.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { RequestRecord } from '../../telemetry/access-record.ts';
import { tracedScene } from './testing-traced-scene.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const traceparent = `traceparent: 00-${traceId}-${parentId}-01`;

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const settings = frame(4, 0, 0, []);
/** GET / of http with a name in upper case. */
const upperCase = frame(1, 5, 1, [0x82, 0x84, 0x86, 0x00, 3, ...Buffer.from('Bad'), 1, 0x78]);
/** DATA of a stream that was never opened. */
const strayData = frame(0, 0, 7, [1, 2, 3]);

function frame(type: number, flags: number, stream: number, payload: readonly number[]): Buffer {
  return Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload]);
}

const rows: readonly {
  readonly name: string;
  readonly sent: readonly (string | Buffer)[];
  readonly span: readonly [name: string, status: number | undefined, path: string | undefined, error: string];
  readonly message: RegExp;
  readonly hasParent?: boolean;
}[] = [
  {
    name: 'what is no HTTP at all',
    sent: ['\x16\x03\x01\x02\x00\x01\r\n\r\n'],
    span: ['HTTP', 400, undefined, 'REQUEST_INVALID'],
    message: /the client broke HTTP/,
  },
  {
    name: 'a length and chunks at once, with a parent',
    sent: [
      `POST /pay?token=SECRET HTTP/1.1\r\nhost: cart\r\n${traceparent}\r\n`,
      'content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n',
    ],
    span: ['POST', 400, '/pay', 'REQUEST_INVALID'],
    message: /the client broke HTTP/,
    hasParent: true,
  },
  {
    name: 'a target that is too long',
    sent: [`GET /${'a'.repeat(30_000)} HTTP/1.1\r\nhost: cart\r\n\r\n`],
    span: ['HTTP', 414, undefined, 'LIMIT_REACHED'],
    message: /limit/,
  },
  {
    name: 'headers that are too large',
    sent: [`GET /big HTTP/1.1\r\nhost: cart\r\n${traceparent}\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`],
    span: ['GET', 431, '/big', 'LIMIT_REACHED'],
    message: /limit/,
    hasParent: true,
  },
  {
    name: 'a malformed header list of HTTP/2',
    sent: [preface, settings, upperCase],
    span: ['GET', undefined, '/', 'H2_PROTOCOL'],
    message: /HTTP\/2 peer broke the protocol/,
  },
  {
    name: 'frames of HTTP/2 that cannot be',
    sent: [preface, settings, strayData],
    span: ['HTTP', undefined, undefined, 'H2_PROTOCOL'],
    message: /HTTP\/2 peer broke the protocol/,
  },
];

for (const { name, sent, span, message, hasParent = false } of rows) {
  test(`${name}: a span with the reason, a record, a counter`, async (t) => {
    const told = Promise.withResolvers<RequestRecord>();
    const records = { wants: () => true, request: told.resolve };
    const scene = await tracedScene(t, { endpoints: [], context: { records } });
    const client = connect(scene.port, '127.0.0.1');
    client.on('error', () => undefined);
    client.resume();
    t.after(() => client.destroy());
    for (const piece of sent) client.write(piece);
    const record = await told.promise;
    const [received, ...others] = await scene.spans();
    assert.deepEqual(others, []);
    const { attributes } = received!;
    const got = [
      received!.name,
      attributes['http.response.status_code'],
      attributes['url.path'],
      attributes['error.type'],
    ];
    assert.deepEqual(got, span);
    assert.deepEqual([received!.isError, attributes['ambient.flag'] !== '-'], [true, true]);
    assert.match(received!.message, message);
    assert.equal(attributes['server.address'], 'cart.shop.svc.cluster.local');
    assert.deepEqual(received!.parentId, hasParent ? parentId : '');
    if (hasParent) assert.equal(received!.traceId, traceId);
    assert.deepEqual([record.traceId, record.error], [received!.traceId, received!.message]);
    assert.equal(record.protocol, sent[0] === preface ? 'http2' : 'http1');
    assert.equal(scene.counters.rows()[0]!.requests, 1);
    assert.ok(!JSON.stringify([received, record]).includes('SECRET'));
  });
}

test('what is not sampled has its record, and no span', async (t) => {
  const told = Promise.withResolvers<RequestRecord>();
  const records = { wants: () => true, request: told.resolve };
  const scene = await tracedScene(t, { endpoints: [], context: { records } }, { samplingPercent: 0 });
  const client = connect(scene.port, '127.0.0.1');
  t.after(() => client.destroy());
  client.resume().write('NONSENSE\r\n\r\n');
  assert.equal((await told.promise).traceId, null);
  assert.deepEqual(await scene.spans(), []);
});
