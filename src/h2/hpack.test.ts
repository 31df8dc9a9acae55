import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ErrorCode } from './constants.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { ProtocolError } from './protocol-error.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const fresh = (table = 4096, list = 1 << 20): HpackDecoder => new HpackDecoder(table, list);

describe('hpack', () => {
  it('decodes the examples of RFC 7541, appendix C', () => {
    const plain = fresh();
    assert.deepEqual(plain.decode(hex('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d')), [
      ':method',
      'GET',
      ':scheme',
      'http',
      ':path',
      '/',
      ':authority',
      'www.example.com',
    ]);
    assert.deepEqual(plain.decode(hex('8286 84be 5808 6e6f 2d63 6163 6865')).slice(-4), [
      ':authority',
      'www.example.com',
      'cache-control',
      'no-cache',
    ]);
    const huffman = fresh();
    huffman.decode(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'));
    huffman.decode(hex('8286 84be 5886 a8eb 1064 9cbf'));
    assert.deepEqual(huffman.decode(hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')), [
      ':method',
      'GET',
      ':scheme',
      'https',
      ':path',
      '/index.html',
      ':authority',
      'www.example.com',
      'custom-key',
      'custom-value',
    ]);
    // C.6: a table of 256 bytes, with evictions.
    const small = fresh(256);
    small.decode(
      hex(
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      ),
    );
    assert.deepEqual(small.decode(hex('4883 640e ffc1 c0bf')).slice(0, 4), [
      ':status',
      '307',
      'cache-control',
      'private',
    ]);
  });

  it('brings back what the encoder wrote, in order', () => {
    const decoder = fresh();
    const encoder = new HpackEncoder();
    const name = fc.oneof(
      fc.constantFrom(':method', ':status', 'baggage', 'cookie'),
      fc.string({ minLength: 1, maxLength: 300 }),
    );
    const octets = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 400,
    });
    const nameOctets = name.map((text) => Buffer.from(text).toString('latin1'));
    fc.assert(
      fc.property(fc.array(fc.tuple(nameOctets, octets), { maxLength: 20 }), (pairs) => {
        assert.deepEqual(decoder.decode(Buffer.from(encoder.encode(pairs.flat()))), pairs.flat());
      }),
    );
  });

  it('tells the peer once that it uses no table when the table of the peer is small', () => {
    const encoder = new HpackEncoder();
    encoder.peerTableShrank();
    assert.equal(encoder.encode([':status', '200']).toString('hex'), '2088');
    assert.equal(encoder.encode([':status', '200']).toString('hex'), '88');
  });

  it('refuses what is broken, and never fails otherwise', () => {
    const broken = [
      '80',
      'ff',
      'be',
      '3fe21f',
      '8220',
      '0001',
      '4003616263',
      '00018103',
      '00ffffffffffffff',
      '000184ffffffff',
      '0001618100',
    ];
    for (const text of broken) {
      assert.throws(
        () => fresh().decode(hex(text)),
        (error) => error instanceof ProtocolError && error.h2Code === ErrorCode.CompressionError,
        text,
      );
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          assert.equal(fresh().decode(Buffer.from(bytes)).length % 2, 0);
        } catch (error) {
          assert.ok(error instanceof ProtocolError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('cuts a list that is too long and keeps its table in step', () => {
    const decoder = new HpackDecoder(4096, 100);
    const long = hex(`40 01 61 7f 11 ${'62'.repeat(144)}`);
    assert.deepEqual(decoder.decode(long), []);
    assert.equal(decoder.overflowed, true);
    assert.deepEqual(decoder.decode(hex('88')), [':status', '200']);
    assert.equal(decoder.overflowed, false);
    decoder.decode(hex('be'));
    assert.equal(decoder.overflowed, true, 'the entry is in the table');
  });
});
