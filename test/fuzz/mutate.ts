// Mutations that know nothing of a grammar but its words: bits, bytes, runs, numbers of the edge, pieces of other
// inputs.
import type { Random } from '../support/random.ts';
import type { FuzzTarget } from './target.ts';

const edges = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
];

type Mutation = (input: Buffer, random: Random, other: Buffer, words: readonly string[]) => Buffer;

const cut = (input: Buffer, from: number, to: number, between: Buffer): Buffer =>
  Buffer.concat([input.subarray(0, from), between, input.subarray(to)]);

const mutations: readonly Mutation[] = [
  function flipBit(input, random) {
    const at = random.below(input.length);
    input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
    return input;
  },
  function setByte(input, random) {
    input[random.below(input.length)] = random.below(256);
    return input;
  },
  function addToByte(input, random) {
    const at = random.below(input.length);
    input[at] = (input[at] ?? 0) + random.between(-4, 4);
    return input;
  },
  function setNumber(input, random) {
    const bytes = random.pick([1, 2, 3, 4]);
    if (input.length < bytes) return input;
    input.writeUIntBE(random.pick(edges) % 256 ** bytes, random.below(input.length - bytes + 1), bytes);
    return input;
  },
  function remove(input, random) {
    const from = random.below(input.length);
    return cut(input, from, from + random.size(input.length - from), Buffer.alloc(0));
  },
  function repeat(input, random) {
    const from = random.below(input.length);
    const piece = input.subarray(from, from + random.size(64));
    return cut(input, from, from, Buffer.concat(Array.from({ length: random.size(16) }, () => piece)));
  },
  function insertBytes(input, random) {
    const from = random.below(input.length + 1);
    return cut(input, from, from, Buffer.from(Array.from({ length: random.size(16) }, () => random.below(256))));
  },
  function splice(input, random, other) {
    const from = random.below(other.length + 1);
    const at = random.below(input.length + 1);
    return cut(input, at, at + random.size(32, 0), other.subarray(from, from + random.size(other.length + 1)));
  },
  function crossOver(input, random, other) {
    return Buffer.concat([
      input.subarray(0, random.below(input.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
  function move(input, random) {
    const from = random.below(input.length);
    const piece = Buffer.from(input.subarray(from, from + random.size(32)));
    const rest = cut(input, from, from + piece.length, Buffer.alloc(0));
    const at = random.below(rest.length + 1);
    return cut(rest, at, at, piece);
  },
  function word(input, random, _other, words) {
    if (words.length === 0) return input;
    const at = random.below(input.length + 1);
    return cut(input, at, at + random.size(16, 0), Buffer.from(random.pick(words), 'latin1'));
  },
];

/** One to a few mutations of `input`, which stays as it is; `other` is another input to take pieces from. */
export function mutate(target: FuzzTarget, input: Buffer, other: Buffer, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let count = random.size(6); count > 0; count--) {
    if (target.mutate !== undefined && random.oneIn(2)) bytes = target.mutate(bytes, random);
    else bytes = random.pick(mutations)(bytes, random, other, target.words);
    if (bytes.length > target.bytesMax) bytes = bytes.subarray(0, target.bytesMax);
  }
  return bytes;
}
