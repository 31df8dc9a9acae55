// HPACK: header blocks of one connection, and Huffman strings against an encoder made from the same code.
import { HpackDecoder } from '../../../src/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../../src/h2/hpack-encoder.ts';
import { huffmanCodeLengths, huffmanDecode } from '../../../src/h2/huffman.ts';
import { ProtocolError } from '../../../src/h2/protocol-error.ts';
import type { Random } from '../../support/random.ts';
import { broken, type FuzzTarget, outcomeOf } from '../target.ts';

const listMax = 1024;
const tableMax = 256;

/** Blocks behind each other, each with its length in front, all through one decoder. */
function blocks(...hex: string[]): Buffer {
  return Buffer.concat(
    hex.map((text) => Buffer.from(text.replaceAll(' ', ''), 'hex')).flatMap((b) => [lengthOf(b), b]),
  );
}

function lengthOf(block: Buffer): Buffer {
  return Buffer.from([block.length & 0xff]);
}

const seeds = [
  // RFC 7541, appendix C.3, C.4 and C.6.
  blocks('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', '8286 84be 5808 6e6f 2d63 6163 6865'),
  blocks('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', '8286 84be 5886 a8eb 1064 9cbf'),
  blocks('4803 3330 3258 0770 7269 7661 7465', '4803 3330 37c1 c0bf', '20 3fe101 88c1'),
  blocks(
    '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
    'be',
    '1008 7061 7373 776f 7264 0673 6563 7265 74',
  ),
];

const fields = [
  '82',
  '84',
  'be',
  'bf',
  'c0',
  '20',
  '3f e1 01',
  '40 01 61 01 62',
  '00 01 61 01 62',
  '10 01 61 00',
  '41 01 78',
];

function mutateBlocks(input: Buffer, random: Random): Buffer {
  const field = Buffer.from(random.pick(fields).replaceAll(' ', ''), 'hex');
  const parts = split(input);
  const at = random.below(parts.length + 1);
  const part = parts[at];
  if (part === undefined) parts.push(field);
  else parts[at] = random.oneIn(2) ? Buffer.concat([part, field]) : Buffer.concat([field, part]);
  return Buffer.concat(parts.flatMap((one) => [lengthOf(one), one.subarray(0, one.length & 0xff)]));
}

function split(input: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const end = at + 1 + input[at]!;
    parts.push(input.subarray(at + 1, end));
    at = end;
  }
  return parts;
}

function sizeOf(list: readonly string[]): number {
  return list.reduce((sum, text) => sum + text.length + 16, 0);
}

export const hpackTarget: FuzzTarget = {
  name: 'hpack',
  seeds,
  words: [],
  bytesMax: 2048,
  mutate: mutateBlocks,
  run: (input) => {
    const decoder = new HpackDecoder(tableMax, listMax);
    const encoder = new HpackEncoder();
    let outcome = '';
    for (const block of split(input).slice(0, 16)) {
      try {
        const list = decoder.decode(block);
        if (sizeOf(list) > listMax) broken('a list above the limit');
        if (list.length % 2 !== 0) broken('a name without a value');
        const again = new HpackDecoder(tableMax, listMax).decode(Buffer.from(encoder.encode(list)));
        if (again.join('\n') !== list.join('\n')) broken('the encoder does not give the list back');
        outcome += ` ${Math.min(list.length / 2, 4)}${decoder.overflowed ? '+' : ''}`;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return `${outcome.slice(0, 6)} ${outcomeOf(error)}`;
      } finally {
        if (decoder.tableBytes > tableMax) broken(`a table of ${decoder.tableBytes} bytes`);
      }
    }
    return outcome.slice(0, 6);
  },
};

const codes = canonicalCodes(huffmanCodeLengths());

/** The code of each symbol as a text of zeros and ones (the canonical code is given by the lengths alone). */
function canonicalCodes(lengths: readonly number[]): string[] {
  const found: string[] = [];
  let code = 0n;
  let previous = 0;
  const order = lengths
    .map((length, symbol) => ({ length, symbol }))
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  for (const { length, symbol } of order) {
    code <<= BigInt(length - previous);
    previous = length;
    found[symbol] = code.toString(2).padStart(length, '0');
    code++;
  }
  return found;
}

function huffmanEncode(text: string): Buffer {
  let bits = '';
  for (let i = 0; i < text.length; i++) bits += codes[text.charCodeAt(i)]!;
  const bytes = Math.ceil(bits.length / 8);
  bits = bits.padEnd(bytes * 8, '1');
  return Buffer.from(Array.from({ length: bytes }, (_, at) => Number.parseInt(bits.slice(at * 8, at * 8 + 8), 2)));
}

export const huffmanTarget: FuzzTarget = {
  name: 'huffman',
  seeds: ['www.example.com', 'no-cache', '\0\x01\xff\xfe~~', '0123456789abcdef'].map(huffmanEncode),
  words: Array.from({ length: 256 }, (_, at) => huffmanEncode(String.fromCharCode(at)).toString('latin1')),
  bytesMax: 128,
  run: (input) => {
    const around = Buffer.concat([Buffer.from([0xff]), input, Buffer.from([0])]);
    const text = huffmanDecode(around, 1, 1 + input.length);
    if (text === null) {
      // Refused: then no text has this code. Its own text, encoded, must be taken.
      const own = input.toString('latin1');
      const code = huffmanEncode(own);
      if (huffmanDecode(code, 0, code.length) !== own) broken('a good string is not taken');
      return 'refused';
    }
    if (!huffmanEncode(text).equals(input)) broken('another text has this code');
    return `${Math.min(text.length, 8)} ${text === '' ? '' : codes[text.charCodeAt(0)]!.length}`;
  },
};
