import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GrpcMessages } from './grpc-messages.ts';

test('messages are counted however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(700), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (sizes, cuts) => {
        const parts = sizes.map((size) => {
          const part = Buffer.alloc(5 + size);
          part.writeUInt32BE(size, 1);
          return part;
        });
        const all = Buffer.concat(parts);
        const counter = new GrpcMessages();
        for (let at = 0, n = 0; at < all.length; n++) {
          const step = cuts[n % cuts.length]!;
          counter.count(all.subarray(at, at + step));
          at += step;
        }
        assert.equal(counter.messages, sizes.length);
      },
    ),
  );
});
