// Questions that pods send to the lab's DNS server: dropped, or answered within the size that the asker takes.
import { type DnsAnswer, decodeQuery, encodeAnswer } from '../../../src/lab/dns-codec.ts';
import type { Random } from '../../support/random.ts';
import { broken, type FuzzTarget } from '../target.ts';

function question(name: string, type: number, edns = 0): Buffer {
  const labels = name === '' ? [] : name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns > 0 ? 1 : 0]);
  const opt = edns > 0 ? Buffer.from([0, 0, 41, edns >> 8, edns & 0xff, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1]), opt]);
}

const seeds = [
  question('web.shop.svc.cluster.local', 1),
  question('_http._tcp.web.shop.svc.cluster.local', 33, 1232),
  question('', 255, 512),
  question('2.1.244.10.in-addr.arpa', 12, 65_535),
];

/** An answer of every kind of record, many addresses or few. */
function answerTo(name: string, addresses: number): DnsAnswer {
  const target = 'a.web.shop.svc.cluster.local';
  const records = Array.from({ length: addresses }, (_, at) => ({ type: 'A' as const, name, address: `10.0.0.${at}` }));
  return {
    code: 'NOERROR',
    answers: [...records, { type: 'SRV', name, port: 80, target }, { type: 'PTR', name, target }],
    additional: [{ type: 'AAAA', name: target, address: 'fd00::1' }],
    zone: 'cluster.local',
  };
}

function mutateQuestion(_input: Buffer, random: Random): Buffer {
  const label = (): string => 'abcdefgh'.repeat(8).slice(0, random.size(63));
  const name = Array.from({ length: random.size(6) }, label).join('.');
  return question(name, random.pick([1, 5, 12, 28, 33, 255]), random.pick([0, 0, 512, 1232, 65_535]));
}

export const dnsTarget: FuzzTarget = {
  name: 'dns',
  seeds,
  words: ['\xc0\x0c', '\x00\x29', '\x3f', '\x40', '\xff'],
  bytesMax: 600,
  mutate: mutateQuestion,
  run: (input) => {
    const query = decodeQuery(input);
    if (query === null) return 'dropped';
    if (query.name.length > 255 || query.udpSize < 512 || query.udpSize > 1232) broken('a query out of bounds');
    let outcome = '';
    for (const sizeMax of [query.udpSize, 65_535]) {
      const reply = encodeAnswer(query, answerTo(query.name, query.id % 4 === 0 ? 40 : 4), sizeMax);
      if (reply.length > sizeMax) broken(`${reply.length} bytes for ${sizeMax}`);
      if (reply.readUInt16BE(0) !== query.id || (reply[2]! & 0x80) === 0) broken('no answer to this question');
      if (!reply.subarray(12, 12 + query.rawQuestion.length).equals(query.rawQuestion)) broken('another question');
      outcome += ` ${(reply[2]! & 2) !== 0}`;
    }
    return `${query.hasEdns} ${Math.min(query.name.split('.').length, 8)}${outcome}`;
  },
};
