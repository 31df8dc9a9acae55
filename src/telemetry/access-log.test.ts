import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AccessLog, type AccessLogOptions, requestLine, textLine } from './access-log.ts';
import type { AccessRecord, RequestRecord } from './access-record.ts';

const record: AccessRecord = {
  time: '2026-01-02T03:04:05.678Z',
  kind: 'connection',
  direction: 'outbound',
  source: {
    workload: 'web-1',
    namespace: 'shop',
    identity: 'spiffe://cluster.local/ns/shop/sa/web',
    address: '10.0.1.2:4000',
  },
  destination: {
    workload: 'cart-1',
    namespace: 'shop',
    identity: 'spiffe://cluster.local/ns/shop/sa/cart',
    address: '10.0.2.2:80',
    service: 'cart.shop.svc.cluster.local',
  },
  transport: 'mtls',
  bytesSent: 120,
  bytesReceived: 300,
  durationMs: 12,
  flag: '-',
  decidedBy: null,
  error: null,
  method: null,
  path: null,
  status: null,
  attempts: 1,
  segmentsMs: { hold: null, connect: 0.8 },
};

function fileLog(context: TestContext, options: Partial<AccessLogOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'access-log-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'access.log');
  const log = new AccessLog({ format: 'json', file, access: 'on', level: 'info', ...options });
  return { log, lines: () => readFileSync(file, 'utf8').split('\n').slice(0, -1) };
}

test('JSON has the fields of the contract, one line per record, in order', (context) => {
  const { log, lines } = fileLog(context);
  for (let count = 0; count < 100; count++) log.write({ ...record, attempts: count });
  log.close();
  const written = lines().map((line) => JSON.parse(line));
  assert.deepEqual(
    written.map(({ attempts }) => attempts),
    Array.from({ length: 100 }, (_, count) => count),
  );
  assert.deepEqual(written[7], { ...record, attempts: 7 });
});

test('lines reach the file without a close, each once', async (context) => {
  const { log, lines } = fileLog(context, { flushMs: 1 });
  for (let count = 0; count < 500; count++) log.write({ ...record, attempts: count });
  const deadlineMs = performance.now() + 5000;
  while (lines().length < 500 && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 5));
  log.close();
  assert.equal(lines().length, 500);
});

test('text is readable and says who, to whom, how, how much and why it ended', () => {
  assert.equal(
    textLine({ ...record, flag: 'DENY', decidedBy: 'shop/no-web', error: 'denied by shop/no-web' }),
    '2026-01-02T03:04:05.678Z outbound shop/web-1 10.0.1.2:4000 -> shop/cart-1 10.0.2.2:80 ' +
      '(cart.shop.svc.cluster.local) mtls as spiffe://cluster.local/ns/shop/sa/web, 120 B up, 300 B down, 12 ms, ' +
      'DENY by shop/no-web',
  );
});

test('a full queue drops and counts', (context) => {
  const { log, lines } = fileLog(context, { queueLinesMax: 3, flushMs: 60_000 });
  for (let count = 0; count < 5; count++) log.write(record);
  log.close();
  assert.equal(lines().length, 3);
  assert.equal(log.dropped, 2);
});

test('access off writes nothing; openings only at debug', (context) => {
  const silent = fileLog(context, { access: 'off', level: 'debug' });
  silent.log.write(record);
  silent.log.close();
  assert.deepEqual(silent.lines(), []);
  const { log, lines } = fileLog(context);
  log.writeOpening(record);
  log.setLevel('debug');
  log.writeOpening(record);
  log.close();
  assert.deepEqual(
    lines().map((line) => JSON.parse(line).kind),
    ['opening'],
  );
});

test('what waits is written to a pipe at exit', () => {
  const script = `
    import { AccessLog } from ${JSON.stringify(new URL('access-log.ts', import.meta.url).href)};
    const log = new AccessLog({ format: 'json', file: '', access: 'on', level: 'info', flushMs: 60000 });
    process.on('exit', () => log.flush());
    for (let n = 0; n < 2000; n++) log.write({ n });
    process.exit(0);`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  const numbers = out.trim().split('\n');
  assert.equal(numbers.length, 2000);
  assert.equal(numbers.at(-1), '{"n":1999}');
});

test('a request is one line', () => {
  const request: RequestRecord = {
    ...record,
    kind: 'request',
    method: 'GET',
    path: '/items',
    status: 503,
    attempts: 3,
    flag: 'RETRY_LIMIT',
    requestId: 'id',
    traceId: null,
    authority: 'cart',
    protocol: 'http1',
    route: 'HTTPRoute/shop/cart#0',
    grpcStatus: null,
    segmentsMs: { clientProxy: null, wire: null, waypoint: 0.2, destinationProxy: null, application: null },
  };
  assert.equal(
    requestLine(request),
    '2026-01-02T03:04:05.678Z GET cart/items 503 shop/web-1 10.0.1.2:4000 -> shop/cart-1 10.0.2.2:80 ' +
      '(cart.shop.svc.cluster.local) via HTTPRoute/shop/cart#0, 120 B up, 300 B down, 12 ms, 3 tries, RETRY_LIMIT',
  );
  assert.match(requestLine({ ...request, status: 200, grpcStatus: 14 }), / 200\/grpc 14 /);
});
