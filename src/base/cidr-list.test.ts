import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disjointNetworks } from './cidr-list.ts';

const rows: { name: string; texts: string[]; result: string[] }[] = [
  { name: 'nothing', texts: [], result: [] },
  { name: 'an address in a network', texts: ['10.1.0.7', '10.1.0.0/16'], result: ['10.1.0.0/16'] },
  {
    name: 'a network in a network',
    texts: ['10.1.2.0/24', '10.0.0.0/8', '11.0.0.1/32'],
    result: ['10.0.0.0/8', '11.0.0.1'],
  },
  {
    name: 'neighbours stay apart',
    texts: ['10.0.0.2', '10.0.0.1', '10.0.0.0/31'],
    result: ['10.0.0.0/31', '10.0.0.2'],
  },
  { name: 'the same twice, in other words', texts: ['10.1.2.3/16', '10.1.0.0/16'], result: ['10.1.0.0/16'] },
  {
    name: 'both families, nonsense left out',
    texts: ['fd00::/64', '10.0.0.1', 'ten', 'fd00::5', 'FD00:1::1'],
    result: ['10.0.0.1', 'fd00::/64', 'fd00:1::1'],
  },
  { name: 'everything', texts: ['0.0.0.0/0', '10.0.0.1', '::/0', '::1'], result: ['0.0.0.0/0', '::/0'] },
];

for (const { name, texts, result } of rows) test(name, () => assert.deepEqual(disjointNetworks(texts), result));
