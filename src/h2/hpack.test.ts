import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ErrorCode } from './constants.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { ProtocolError } from './protocol-error.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** RFC 7541 §5.1. */
function integer(pattern: number, prefixBits: number, value: number): number[] {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) return [pattern | value];
  const bytes = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}
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

  it('has in its table what a plain list would have, whatever comes and goes', () => {
    const add = fc.tuple(fc.string({ maxLength: 60, unit: 'binary-ascii' }), fc.nat(200));
    const step = fc.oneof(
      { weight: 20, arbitrary: fc.record({ add }) },
      { weight: 2, arbitrary: fc.record({ resize: fc.nat(4096) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
        const decoder = fresh();
        let plain: [string, string][] = [];
        let limit = 4096;
        const trim = (): void => {
          const size = (pairs: [string, string][]) => pairs.reduce((sum, [a, b]) => sum + a.length + b.length + 32, 0);
          while (size(plain) > limit) plain.pop();
        };
        for (const one of steps) {
          if ('resize' in one) {
            limit = one.resize;
            decoder.decode(Buffer.from(integer(0x20, 5, limit)));
          } else {
            const [name, length] = one.add;
            const value = 'v'.repeat(length);
            const text = (word: string): number[] => [...integer(0, 7, word.length), ...Buffer.from(word, 'latin1')];
            decoder.decode(Buffer.from([0x40, ...text(name), ...text(value)]));
            plain = [[name, value], ...plain];
          }
          trim();
        }
        const all = plain.flatMap((_, at) => integer(0x80, 7, 62 + at));
        assert.deepEqual(decoder.decode(Buffer.from(all)), plain.flat());
        assert.throws(() => decoder.decode(Buffer.from(integer(0x80, 7, 62 + plain.length))), ProtocolError);
      }),
      { numRuns: 50 },
    );
  });

  it('says of a literal that comes again what it said the first time', () => {
    const decoder = fresh();
    const field = (first: number, name: string, value: string): Buffer =>
      Buffer.concat([
        Buffer.from([first, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]);
    for (const first of [0x00, 0x10, 0x40]) {
      for (const [name, value, sound] of [
        ['x-a', 'b', true],
        ['x-a', 'b\n', false],
        ['X-a', 'b', false],
        ['x-a', '', true],
      ] as const) {
        for (let time = 0; time < 3; time++) {
          assert.deepEqual(decoder.decode(field(first, name, value)), [name, value]);
          assert.equal(decoder.sound, sound, `${first} ${name} ${JSON.stringify(value)}`);
        }
      }
    }
    assert.deepEqual(decoder.decode(hex('be')), ['x-a', '']);
    assert.equal(decoder.sound, true);
    assert.deepEqual(decoder.decode(hex('c2')), ['X-a', 'b']);
    assert.equal(decoder.sound, false);
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
