import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestOf } from '../testing-requests.ts';
import { parseGrpcTimeout, requestTimeoutMs } from './timeouts.ts';

test('values and what they are worth', () => {
  const rows = [
    ['1H', 3_600_000],
    ['2S', 2000],
    ['150m', 150],
    ['1500u', 2],
    ['1n', 1],
    ['0m', 1],
    ['', null],
    ['5', null],
    ['5x', null],
    ['-5m', null],
    ['123456789m', null],
  ] as const;
  for (const [text, expected] of rows) assert.equal(parseGrpcTimeout(text), expected, text);
});

test('the sooner of both counts, for gRPC alone', () => {
  const head = requestOf('POST /a', [['grpc-timeout', '1S']], { grpc: true });
  assert.deepEqual(
    [requestTimeoutMs(head, 0), requestTimeoutMs(head, 500), requestTimeoutMs(head, 5000)],
    [1000, 500, 1000],
  );
  assert.equal(requestTimeoutMs(requestOf('POST /a', [['grpc-timeout', '1S']]), 0), 0);
});
