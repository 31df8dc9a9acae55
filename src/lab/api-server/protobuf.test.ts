// Bodies in protobuf: bytes as kubectl sends them, and bytes that nobody sends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiFailure } from './failure.ts';
import { protobufObject } from './protobuf.ts';

const field = (number: number, content: Buffer | string): Buffer => {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
};
const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields);

function body(apiVersion: string, kind: string, raw: Buffer): Buffer {
  const type = message(field(1, apiVersion), field(2, kind));
  return Buffer.concat([Buffer.from('k8s\0'), field(1, type), field(2, raw), field(3, ''), field(4, '')]);
}

test('a ConfigMap with labels and bytes', () => {
  const label = field(11, message(field(1, 'app'), field(2, 'web')));
  const raw = message(
    field(1, message(field(1, 'cm'), field(2, ''), field(3, 'shop'), label)),
    field(2, message(field(1, 'one'), field(2, '1'))),
    field(2, message(field(1, 'two'), field(2, '2'))),
    field(3, message(field(1, 'bytes'), field(2, Buffer.from([0, 255])))),
    Buffer.from([4 << 3, 1]),
    field(15, 'of a later version'),
  );
  assert.deepEqual(protobufObject(body('v1', 'ConfigMap', raw)), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'cm', namespace: 'shop', labels: { app: 'web' } },
    data: { one: '1', two: '2' },
    binaryData: { bytes: 'AP8=' },
    immutable: true,
  });
});

test('a kind that is not read is 415', () => {
  const unread = () => protobufObject(body('apps/v1', 'Deployment', Buffer.alloc(0)));
  assert.throws(unread, (error) => error instanceof ApiFailure && error.httpStatus === 415);
});

test('anything else is refused in order', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const each of [Buffer.from(bytes), body('v1', 'ConfigMap', Buffer.from(bytes.subarray(0, 100)))]) {
        try {
          protobufObject(each);
        } catch (error) {
          assert(error instanceof ApiFailure, String(error));
        }
      }
    }),
  );
});
