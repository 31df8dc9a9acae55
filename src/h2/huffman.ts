// HPACK's Huffman code (RFC 7541, appendix B), decoding only: we send literals as they are. The code is canonical, so
// its lengths say everything; from them a table is made that takes four bits at a time.

/** Code length of each byte value and of EOS (256), as runs `length × count`. */
const lengthRuns =
  '13 23 28*7 24 30 28*2 30 28*8 30 28*9 6 10*2 12 13 6 8 11 10*2 8 11 8 6*3 5*3 6*7 7 8 15 6 12 10 13 6 7*22 8 7 8 13 19 13 14 6 15 ' +
  '5 6 5 6 5 6*3 5 7*2 6*3 5 6 7 6 5*2 6 7*5 15 11 14 13 28 20 22 20*2 22*3 23 22 23*5 24 23 24*2 22 23 24 23*4 21 22 23 22 23*2 24 22 21 ' +
  '20 22*2 23*2 21 23 22*2 24 21 22 23*2 21*2 22 21 23 22 23*2 20 22*3 23 22*2 23 26*2 20 19 22 23 22 25 26*3 27*2 26 24 25 19 21 26 27*2 ' +
  '26 27 24 21*2 26*2 28 27*3 20 24 20 21 22 21*2 23 22*2 25*2 24*2 26 23 26 27 26*2 27*5 28 27*5 26 30';

const endOfString = 256;

/** What the decoder does with four bits in a state: next state, and a byte to put out. */
const failBit = 1 << 17;
const emitBit = 1 << 16;

interface Tables {
  /** `state * 16 + nibble` → next state | byte << 8 | emit | fail. */
  readonly steps: Int32Array;
  /** 1 where a string may end: fewer than eight bits into a code, all of them ones. */
  readonly mayEnd: Uint8Array;
}

/** Bits of the code of each byte value, and of the end of a string at 256 (RFC 7541, appendix B). */
export function huffmanCodeLengths(): number[] {
  return lengthRuns.split(' ').flatMap((run) => {
    const [length = '', count = '1'] = run.split('*');
    return Array.from({ length: Number(count) }, () => Number(length));
  });
}

function buildTables(): Tables {
  const lengths = huffmanCodeLengths();
  // A binary tree: children[2n + bit] is a node, or ~symbol at a leaf.
  const children: number[] = [0, 0];
  const mayEnd = new Uint8Array(256);
  mayEnd[0] = 1;
  let code = 0;
  let previous = 0;
  const order = lengths
    .map((length, symbol) => ({ length, symbol }))
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  for (const { length, symbol } of order) {
    code *= 2 ** (length - previous);
    previous = length;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const slot = node * 2 + (Math.floor(code / 2 ** bit) & 1);
      if (children[slot] === 0) {
        children[slot] = children.length / 2;
        children.push(0, 0);
      }
      node = children[slot]!;
    }
    children[node * 2 + (code & 1)] = ~symbol;
    code++;
  }
  for (let node = 0, depth = 0; depth < 8; depth++, node = children[node * 2 + 1]!) mayEnd[node] = 1;
  const steps = new Int32Array((children.length / 2) * 16);
  for (let node = 0; node < children.length / 2; node++) {
    for (let nibble = 0; nibble < 16; nibble++) steps[node * 16 + nibble] = step(children, node, nibble);
  }
  return { steps, mayEnd };
}

function step(children: number[], from: number, nibble: number): number {
  let node = from;
  let out = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node * 2 + ((nibble >> bit) & 1)]!;
    if (next >= 0) {
      node = next;
    } else {
      const symbol = ~next;
      if (symbol === endOfString) return failBit;
      // The shortest code has five bits: four bits complete one at most.
      out = emitBit | (symbol << 8);
      node = 0;
    }
  }
  return out | node;
}

const { steps, mayEnd } = buildTables();

let scratch = Buffer.allocUnsafeSlow(1024);

/** Decodes `block[start, end)` to a string of one character per byte; null when it is no valid Huffman string. */
export function huffmanDecode(block: Buffer, start: number, end: number): string | null {
  // Five bits make a byte at best.
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most * 2);
  let state = 0;
  let at = 0;
  for (let i = start; i < end; i++) {
    const byte = block[i]!;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const next = steps[state * 16 + ((byte >> shift) & 15)]!;
      if (next & failBit) return null;
      if (next & emitBit) scratch[at++] = (next >> 8) & 0xff;
      state = next & 0xff;
    }
  }
  return mayEnd[state] === 1 ? scratch.toString('latin1', 0, at) : null;
}
