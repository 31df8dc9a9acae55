// DNS messages as far as a cluster's resolver needs them: one question in, records out (RFC 1035, RFC 2782, RFC 6891).
// Input comes from pods and is not trusted: whatever is malformed decodes to null.
import { ipToBytes } from '../base/ip.ts';

export const recordTypes = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;
export const responseCodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export type ResponseCode = keyof typeof responseCodes;

export interface DnsQuery {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  /** Lower case, without the dot at its end. */
  readonly name: string;
  /** As the asker spelled it, to be repeated. */
  readonly rawQuestion: Buffer;
  readonly type: number;
  /** The largest answer over UDP that the asker takes. */
  readonly udpSize: number;
  readonly hasEdns: boolean;
}

export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly address: string }
  | { readonly type: 'CNAME' | 'PTR'; readonly name: string; readonly target: string }
  | { readonly type: 'SRV'; readonly name: string; readonly port: number; readonly target: string };

export interface DnsAnswer {
  readonly code: ResponseCode;
  readonly answers: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
  /** The zone whose SOA goes with an answer that says no, '' for none. */
  readonly zone: string;
}

const headerBytes = 12;
const plainUdpSize = 512;
/** What passes every link unfragmented. */
const ednsUdpSize = 1232;
const ttlS = 5;
const nameBytesMax = 255;
const classIn = 1;

/** The one question of a query, or null for what is no query. */
export function decodeQuery(message: Buffer): DnsQuery | null {
  if (message.length < headerBytes) return null;
  const flags = message.readUInt16BE(2);
  const isResponse = (flags & 0x8000) !== 0;
  if (isResponse || message.readUInt16BE(4) !== 1) return null;
  const question = readName(message, headerBytes);
  if (question === null || question.end + 4 > message.length) return null;
  const type = message.readUInt16BE(question.end);
  const end = question.end + 4;
  const edns = message.readUInt16BE(6) + message.readUInt16BE(8) === 0 ? ednsSize(message, end) : null;
  return {
    id: message.readUInt16BE(0),
    opcode: (flags >> 11) & 15,
    recursionDesired: (flags & 0x100) !== 0,
    name: question.name.toLowerCase(),
    rawQuestion: Buffer.from(message.subarray(headerBytes, end)),
    type,
    udpSize: Math.max(plainUdpSize, Math.min(edns ?? plainUdpSize, ednsUdpSize)),
    hasEdns: edns !== null,
  };
}

/** A name without compression, which questions have no use for. */
function readName(message: Buffer, start: number): { name: string; end: number } | null {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at - start > nameBytesMax) return null;
    at++;
    if (length === 0) return { name: labels.join('.'), end: at };
    if (at + length > message.length) return null;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
}

/** The size in the OPT record that stands at `at`, null when there is none. */
function ednsSize(message: Buffer, at: number): number | null {
  if (message.readUInt16BE(10) === 0 || at + 11 > message.length || message[at] !== 0) return null;
  return message.readUInt16BE(at + 1) === recordTypes.OPT ? message.readUInt16BE(at + 3) : null;
}

/** The answer as bytes; what does not fit into `sizeMax` is left out and the answer marked as truncated. */
export function encodeAnswer(query: DnsQuery, answer: DnsAnswer, sizeMax: number): Buffer {
  const whole = assemble(query, answer, false);
  if (whole.length <= sizeMax) return whole;
  const bare = assemble(query, { ...answer, additional: [] }, false);
  if (bare.length <= sizeMax) return bare;
  return assemble(query, { ...answer, answers: [], additional: [], zone: '' }, true);
}

function assemble(query: DnsQuery, answer: DnsAnswer, truncated: boolean): Buffer {
  const isFinalNo = answer.answers.length === 0 && answer.zone !== '' && !truncated;
  const authority = isFinalNo ? [soaRecord(answer.zone)] : [];
  const encode = (record: DnsRecord) => encodeRecord(record, query.name);
  const additional = [...answer.additional.map(encode), ...(query.hasEdns ? [optRecord()] : [])];
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(query.id, 0);
  const authoritative = answer.zone !== '' ? 0x400 : 0;
  const flags =
    0x8000 |
    (query.opcode << 11) |
    authoritative |
    (truncated ? 0x200 : 0) |
    (query.recursionDesired ? 0x100 : 0) |
    0x80;
  header.writeUInt16BE(flags | responseCodes[answer.code], 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answer.answers.length, 6);
  header.writeUInt16BE(authority.length, 8);
  header.writeUInt16BE(additional.length, 10);
  return Buffer.concat([header, query.rawQuestion, ...answer.answers.map(encode), ...authority, ...additional]);
}

/** Points back to the question where a record is about the name that was asked for, as almost all are. */
const questionPointer = Buffer.from([0xc0, headerBytes]);

function encodeRecord(record: DnsRecord, asked: string): Buffer {
  const owner = record.name === asked ? questionPointer : encodeName(record.name);
  return resource(owner, recordTypes[record.type], recordData(record));
}

function recordData(record: DnsRecord): Buffer {
  if ('address' in record) return Buffer.from(ipToBytes(record.address) ?? []);
  if (!('port' in record)) return encodeName(record.target);
  const fixed = Buffer.alloc(6);
  fixed.writeUInt16BE(0, 0);
  fixed.writeUInt16BE(100, 2);
  fixed.writeUInt16BE(record.port, 4);
  return Buffer.concat([fixed, encodeName(record.target)]);
}

function resource(owner: Buffer, type: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(classIn, 2);
  fixed.writeUInt32BE(ttlS, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

/** Without it a resolver could not remember a "no" (RFC 2308). */
function soaRecord(zone: string): Buffer {
  const numbers = Buffer.alloc(20);
  for (const [index, value] of [1, 7200, 1800, 86400, ttlS].entries()) numbers.writeUInt32BE(value, index * 4);
  const data = Buffer.concat([encodeName(`ns.dns.${zone}`), encodeName(`hostmaster.${zone}`), numbers]);
  return resource(encodeName(zone), recordTypes.SOA, data);
}

function optRecord(): Buffer {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(recordTypes.OPT, 1);
  record.writeUInt16BE(ednsUdpSize, 3);
  return record;
}

function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  const parts = labels.map((label) => {
    const text = Buffer.from(label.slice(0, 63), 'latin1');
    return Buffer.concat([Buffer.from([text.length]), text]);
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}
