import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RequestRecord } from './access-record.ts';
import { requestJson } from './request-json.ts';

const text = fc.option(
  fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('"', '\\', '\u007f', '\ud800')),
);
const ms = fc.option(
  fc.oneof(
    fc.nat(10_000_000).map((micros) => micros / 1000),
    fc.double(),
    fc.constantFrom(-0, 0, 0.001, 0.1, 1e21, Number.MAX_VALUE, 2 ** 31, Number.NaN, Number.POSITIVE_INFINITY),
  ),
);
const peer = fc.record({ workload: text, namespace: text, identity: text, address: fc.string() });
const record = fc
  .record({
    source: peer,
    destination: fc.record({ workload: text, namespace: text, identity: text, address: fc.string(), service: text }),
    durationMs: ms.map((value) => value ?? 0),
    texts: fc.record({
      decidedBy: text,
      error: text,
      method: text,
      path: text,
      requestId: text,
      traceId: text,
      authority: text,
      route: text,
    }),
    numbers: fc.record({
      bytesSent: fc.maxSafeNat(),
      bytesReceived: fc.maxSafeNat(),
      status: fc.option(fc.nat()),
      attempts: fc.nat(),
      grpcStatus: fc.option(fc.nat()),
    }),
    policyHits: fc.option(fc.array(fc.string())),
    segmentsMs: fc.record({ clientProxy: ms, wire: ms, waypoint: ms, destinationProxy: ms, application: ms }),
  })
  .map(({ texts, numbers, policyHits, segmentsMs, ...rest }): RequestRecord => {
    const { bytesSent, bytesReceived, ...counts } = numbers;
    const { decidedBy, error, method, path, ...names } = texts;
    // In the order in which records are made.
    return {
      time: '2026-01-01T00:00:00.000Z',
      kind: 'request',
      direction: 'inbound',
      source: rest.source,
      destination: rest.destination,
      transport: 'mtls',
      bytesSent,
      bytesReceived,
      durationMs: rest.durationMs,
      flag: '-',
      decidedBy,
      error,
      method,
      path,
      status: counts.status,
      attempts: counts.attempts,
      requestId: names.requestId,
      traceId: names.traceId,
      authority: names.authority,
      protocol: 'grpc',
      route: names.route,
      grpcStatus: counts.grpcStatus,
      ...(policyHits === null ? {} : { policyHits }),
      segmentsMs,
    };
  });

test('the line of a request is what JSON.stringify makes of its record', () => {
  fc.assert(
    fc.property(record, (one) => {
      assert.equal(requestJson(one), JSON.stringify(one));
      assert.equal(requestJson(one), JSON.stringify(one), 'with texts that are kept');
    }),
    { numRuns: 500 },
  );
});
