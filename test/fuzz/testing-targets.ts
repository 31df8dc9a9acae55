// Targets that are broken on purpose: whether the fuzzer sees it.
import { broken, type FuzzTarget } from './target.ts';

const held: Buffer[] = [];
const plain = { seeds: ['begin'], words: [], bytesMax: 64 } as const;

export const targets: readonly FuzzTarget[] = [
  { ...plain, name: 'crashes', run: (input) => (input.includes('eg') ? `${input.length % 8}` : broken('no eg')) },
  {
    ...plain,
    name: 'hangs',
    run: (input) => {
      while (input[0] === 0x65);
      return 'ends';
    },
  },
  {
    ...plain,
    name: 'grows',
    run: () => {
      held.push(Buffer.alloc(32 * 1024, 1));
      return 'grown';
    },
  },
  { ...plain, name: 'holds', run: (input) => `${input.length % 8}` },
];
