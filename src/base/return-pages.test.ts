import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { cleanRanges, returnPages } from './return-pages.ts';

const smaps = `00400000-00500000 r--p 00000000 08:01 42                         /usr/bin/node
Rss:                 100 kB
Anonymous:             0 kB
Swap:                  0 kB
00500000-00600000 r-xp 00100000 08:01 42                         /usr/bin/node
Anonymous:             0 kB
00600000-00680000 r--p 00200000 08:01 42                         /usr/bin/node
Anonymous:             4 kB
00680000-00700000 r--p 00280000 08:01 42                         /usr/bin/node
Anonymous:             0 kB
Swap:                 12 kB
00700000-00800000 rw-p 00300000 08:01 42                         /usr/bin/node
Anonymous:             0 kB
00800000-00900000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 08:01 43                 /usr/lib/libc.so.6
Anonymous:             0 kB
`;

describe('cleanRanges', () => {
  it('takes what is mapped of the file, unless it may be or has been written to', () => {
    const expected = [0x400000n, 0x500000n].map((start) => ({ start, bytes: 0x100000n }));
    assert.deepEqual(cleanRanges(smaps, '/usr/bin/node'), expected);
  });

  it('finds nothing of another file', () => assert.deepEqual(cleanRanges(smaps, '/usr/bin/other'), []));
});

describe('returnPages', () => {
  const mappedKb = (): number => Number(/^RssFile:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

  it('lowers what is mapped of files, and the process goes on', () => {
    const before = mappedKb();
    returnPages();
    assert.ok(mappedKb() < before / 2, `${before} kB before, ${mappedKb()} after`);
    returnPages();
  });
});
