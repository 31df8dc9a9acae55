// IP addresses as text and as numbers. One canonical text form is used everywhere as a key: dotted IPv4, RFC 5952 IPv6,
// and an IPv4-mapped IPv6 address is the IPv4 address. Sits under everything that compares addresses.
import { isIPv4, isIPv6 } from 'node:net';

/** An address as an integer: 32 bits in a number for IPv4, 128 bits in a bigint for IPv6. */
export type IpValue = { readonly family: 4; readonly value: number } | { readonly family: 6; readonly value: bigint };

/** A network: `address` is its first address, so that equal networks have equal fields. */
export interface Cidr {
  readonly family: 4 | 6;
  /** First address of the network, canonical. */
  readonly address: string;
  readonly length: number;
  /** `ADDRESS/LENGTH`, canonical. */
  readonly text: string;
}

const mappedPrefix = 0xffffn;

/** The canonical text of an address, or null when `text` is none. A zone (`%eth0`) has no place in a mesh: null. */
export function canonicalIp(text: string): string | null {
  // Dotted IPv4 admits no leading zeros, so what is valid is canonical.
  if (!text.includes(':')) return isIPv4(text) ? text : null;
  // As sockets that listen for both families show every IPv4 peer: once or twice per connection.
  if (text.startsWith('::ffff:') && text.includes('.')) {
    const dotted = text.slice(7);
    return isIPv4(dotted) ? dotted : null;
  }
  const value = parseIp(text);
  return value === null ? null : formatIp(value);
}

/** The address as an integer, IPv4-mapped IPv6 as IPv4; null when `text` is no address. */
export function parseIp(text: string): IpValue | null {
  if (!text.includes(':')) return isIPv4(text) ? { family: 4, value: parseDotted(text) } : null;
  if (!isIPv6(text) || text.includes('%')) return null;
  const value = parseGroups(text);
  if (value >> 32n === mappedPrefix) return { family: 4, value: Number(value & 0xffffffffn) };
  return { family: 6, value };
}

/** The canonical text of an integer address. */
export function formatIp(ip: IpValue): string {
  return ip.family === 4 ? formatDotted(ip.value) : formatGroups(ip.value);
}

/** True for an address that only this machine reaches. */
export function isLoopback(text: string): boolean {
  const ip = parseIp(text);
  return ip !== null && (ip.family === 4 ? ip.value >>> 24 === 127 : ip.value === 1n);
}

/** 4 or 6 for a canonical address. */
export function familyOf(canonical: string): 4 | 6 {
  return canonical.includes(':') ? 6 : 4;
}

/** 4 or 16 bytes in network order, or null when `text` is no address. */
export function ipToBytes(text: string): Uint8Array | null {
  const ip = parseIp(text);
  if (ip === null) return null;
  const bytes = new Uint8Array(ip.family === 4 ? 4 : 16);
  let rest = BigInt(ip.value);
  for (let at = bytes.length - 1; at >= 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  return bytes;
}

/** The canonical text of 4 or 16 bytes in network order; null for any other length. */
export function ipFromBytes(bytes: Uint8Array): string | null {
  if (bytes.length !== 4 && bytes.length !== 16) return null;
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  if (bytes.length === 4) return formatDotted(Number(value));
  if (value >> 32n === mappedPrefix) return formatDotted(Number(value & 0xffffffffn));
  return formatGroups(value);
}

/**
 * Reads `ADDRESS/LENGTH`; a bare address is the network of that one address. Bits behind the length are dropped,
 * a network inside `::ffff:0:0/96` becomes the IPv4 network. Null when `text` is neither.
 */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const ip = parseIp(host);
  if (ip === null) return null;
  const bits = host.includes(':') ? 128 : 32;
  let length = bits;
  if (slash >= 0) {
    const digits = text.slice(slash + 1);
    if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return null;
    length = Number(digits);
  }
  if (length > bits) return null;
  if (ip.family === 6 || bits === 32) return makeCidr(ip, length);
  // A mapped address under a shorter prefix is an IPv6 network that merely starts there.
  if (length >= 96) return makeCidr(ip, length - 96);
  return makeCidr({ family: 6, value: (mappedPrefix << 32n) | BigInt(ip.value) }, length);
}

/** True when the address lies in the network; false for another family and for what is no address. */
export function cidrContains(cidr: Cidr, ipText: string): boolean {
  const ip = parseIp(ipText);
  if (ip === null || ip.family !== cidr.family) return false;
  const network = parseIp(cidr.address);
  return network !== null && maskIp(ip, cidr.length).value === network.value;
}

/** The address with all bits behind `length` cleared. */
export function maskIp(ip: IpValue, length: number): IpValue {
  if (ip.family === 4) return { family: 4, value: maskIpv4(ip.value, length) };
  return { family: 6, value: maskIpv6(ip.value, length) };
}

/** As `maskIp`, on the bare 32-bit number. */
export function maskIpv4(value: number, length: number): number {
  return length === 0 ? 0 : (value & (0xffffffff << (32 - length))) >>> 0;
}

/** As `maskIp`, on the bare 128-bit number. */
export function maskIpv6(value: bigint, length: number): bigint {
  const shift = BigInt(128 - length);
  return (value >> shift) << shift;
}

/** `IP:port`, with brackets around IPv6. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Takes `HOST:PORT` or `[IPV6]:PORT` apart; null when it is neither or the port is not in 0–65535. */
export function splitHostPort(text: string): { host: string; port: number } | null {
  const colon = text.lastIndexOf(':');
  if (colon <= 0) return null;
  const digits = text.slice(colon + 1);
  if (!/^\d{1,5}$/.test(digits)) return null;
  const port = Number(digits);
  if (port > 65535) return null;
  let host = text.slice(0, colon);
  if (host.startsWith('[')) {
    if (!host.endsWith(']')) return null;
    host = host.slice(1, -1);
    return isIPv6(host) ? { host, port } : null;
  }
  return host.includes(':') ? null : { host, port };
}

function makeCidr(ip: IpValue, length: number): Cidr {
  const address = formatIp(maskIp(ip, length));
  return { family: ip.family, address, length, text: `${address}/${length}` };
}

function parseDotted(text: string): number {
  let value = 0;
  let octet = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      value = value * 256 + octet;
      octet = 0;
    } else octet = octet * 10 + code - 0x30;
  }
  return value * 256 + octet;
}

function formatDotted(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** `text` is known to be valid IPv6 without a zone. */
function parseGroups(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const groups = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  let value = 0n;
  for (const group of groups) value = (value << 16n) | BigInt(group);
  return value;
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const dotted = parseDotted(part);
    return [dotted >>> 16, dotted & 0xffff];
  });
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function formatGroups(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(112 - 16 * at)) & 0xffffn));
  let start = -1;
  let longest = 1;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > longest) {
      start = at;
      longest = end - at;
    }
    if (end > at) at = end;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + longest).join(':')}`;
}
