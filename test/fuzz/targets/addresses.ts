// Addresses, networks, HOST:PORT and identities: whatever is taken has one spelling, and means the same read again.
import { CidrTable } from '../../../src/base/cidr-table.ts';
import {
  canonicalIp,
  cidrContains,
  familyOf,
  formatHostPort,
  ipFromBytes,
  ipToBytes,
  parseCidr,
  splitHostPort,
} from '../../../src/base/ip.ts';
import { formatSpiffeId, tryParseSpiffeId } from '../../../src/identity/spiffe.ts';
import type { Random } from '../../support/random.ts';
import { broken, type FuzzTarget } from '../target.ts';

function checkIp(text: string): string {
  const canonical = canonicalIp(text);
  if (canonical === null) return '-';
  if (canonicalIp(canonical) !== canonical) broken(`${canonical} has another spelling`);
  const bytes = ipToBytes(text);
  if (bytes === null || ipFromBytes(bytes) !== canonical) broken(`${canonical} is lost as bytes`);
  if (bytes!.length !== (familyOf(canonical) === 4 ? 4 : 16)) broken(`${canonical} has ${bytes!.length} bytes`);
  return `ip${familyOf(canonical)} ${canonical.split(':').length}`;
}

function checkCidr(text: string): string {
  const cidr = parseCidr(text);
  if (cidr === null) return '-';
  const again = parseCidr(cidr.text);
  if (again === null || again.text !== cidr.text || again.family !== cidr.family)
    broken(`${cidr.text} is not read again`);
  if (!cidrContains(cidr, cidr.address)) broken(`${cidr.text} is without its own address`);
  const [host = ''] = text.split('/');
  if (canonicalIp(host) !== null && familyOf(canonicalIp(host)!) === cidr.family && !cidrContains(cidr, host)) {
    broken(`${text} is without ${host}`);
  }
  const table = new CidrTable<number>();
  table.set(cidr, 1);
  if (table.lookup(cidr.address) !== 1 || table.get(cidr) !== 1) broken(`${cidr.text} is not found in a table`);
  if (!table.delete(cidr) || table.size !== 0) broken(`${cidr.text} cannot be removed`);
  return `cidr${cidr.family} ${cidr.length}`;
}

function checkHostPort(text: string): string {
  const split = splitHostPort(text);
  if (split === null) return '-';
  const again = splitHostPort(formatHostPort(split.host, split.port));
  if (again === null || again.host !== split.host || again.port !== split.port) broken(`${text} is not read again`);
  return `port ${split.host.includes(':')}`;
}

function checkIdentity(text: string): string {
  const parts = tryParseSpiffeId(text);
  if (parts === null) return '-';
  if (formatSpiffeId(parts) !== text) broken(`${text} has another spelling`);
  return 'id';
}

const words = [
  '::',
  ':',
  '.',
  '/',
  '[',
  ']',
  '%eth0',
  'ffff',
  '::ffff:',
  '0',
  '00',
  '255',
  '256',
  '/0',
  '/32',
  '/128',
  '/129',
  '1e1',
  '0x1',
  'spiffe://',
  '/ns/',
  '/sa/',
  '..',
  '\n',
  '\0',
  '٣',
];

/** Joins parts that addresses are made of. */
function assemble(_input: Buffer, random: Random): Buffer {
  const count = random.size(9);
  const separator = random.pick([':', '.', ':']);
  const part = (): string =>
    separator === '.' ? String(random.size(300, 0)) : random.oneIn(3) ? '' : random.below(65_536).toString(16);
  const head = Array.from({ length: count }, part).join(separator);
  return Buffer.from(head + random.pick(['', '', `/${random.below(140)}`, ':80', '::1', '.1.2.3']));
}

export const addressesTarget: FuzzTarget = {
  name: 'addresses',
  seeds: [
    '10.0.0.1',
    '10.1.2.3/8',
    'fd00::1',
    '::ffff:10.0.0.1/104',
    '::/0',
    '[fd00::1]:80',
    '1.2.3.4:80',
    'a.b:1',
    'spiffe://cluster.local/ns/a/sa/b',
  ],
  words,
  bytesMax: 96,
  mutate: assemble,
  run: (input) => {
    const text = input.toString('utf8');
    return `${checkIp(text)} ${checkCidr(text)} ${checkHostPort(text)} ${checkIdentity(text)}`;
  },
};
