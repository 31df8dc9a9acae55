import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { messages, split } from './testing-messages.ts';
import { understand } from './testing-understood.ts';

/** All but the error objects. A line that has not ended may be looked at later, so the last one is ended. */
function plain(chunks: readonly Buffer[]): unknown {
  const { requests, refused, written, ended } = understand([...chunks, '\n\n']);
  return { requests, refused: refused === null ? null : [refused.status, refused.error.message], written, ended };
}

test('however the bytes are split, the same is understood', () => {
  fc.assert(
    fc.property(messages, fc.array(fc.nat(2000), { maxLength: 12 }), (bytes, cuts) => {
      assert.deepEqual(plain(split(bytes, cuts)), plain([bytes]));
    }),
    { numRuns: 3000 },
  );
});

test('byte by byte as well', () => {
  fc.assert(
    fc.property(messages, (bytes) => {
      assert.deepEqual(plain([...bytes].map((byte) => Buffer.of(byte))), plain([bytes]));
    }),
    { numRuns: 1000 },
  );
});

test('no input breaks it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      understand([Buffer.from(bytes)]);
    }),
    { numRuns: 2000 },
  );
});
