// The header names that the codec itself has to do with, each with a number, found by the hash of the name.
import { hashName, isWord } from './characters.ts';

/** Numbers of names; `none` is any other, `dropped` a line that the parser has taken out. */
export const Name = {
  none: 0,
  host: 1,
  contentLength: 2,
  contentType: 3,
  expect: 4,
  authorization: 5,
  cookie: 6,
  setCookie: 7,
  contentEncoding: 8,
  location: 9,
  trailer: 10,
  date: 11,
  server: 12,
  // From here on: of one connection alone, never passed on as they came.
  connection: 16,
  keepAlive: 17,
  proxyConnection: 18,
  transferEncoding: 19,
  upgrade: 20,
  http2Settings: 21,
  te: 22,
  dropped: 23,
} as const;

/** Names with this number and above end at this hop. */
export const firstHopName: number = Name.connection;

/** Names that `Connection` cannot nominate away, in the order of their numbers (RFC 9110 §7.6.1). */
const spelling: readonly (readonly [number, string])[] = [
  [Name.host, 'host'],
  [Name.contentLength, 'content-length'],
  [Name.contentType, 'content-type'],
  [Name.expect, 'expect'],
  [Name.authorization, 'authorization'],
  [Name.cookie, 'cookie'],
  [Name.setCookie, 'set-cookie'],
  [Name.contentEncoding, 'content-encoding'],
  [Name.location, 'location'],
  [Name.trailer, 'trailer'],
  [Name.date, 'date'],
  [Name.server, 'server'],
  [Name.connection, 'connection'],
  [Name.keepAlive, 'keep-alive'],
  [Name.proxyConnection, 'proxy-connection'],
  [Name.transferEncoding, 'transfer-encoding'],
  [Name.upgrade, 'upgrade'],
  [Name.http2Settings, 'http2-settings'],
  [Name.te, 'te'],
];

const hashes = new Int32Array(32);
const words: string[] = new Array(32).fill('');
for (const [number, word] of spelling) {
  hashes[number] = hashName(word);
  words[number] = word;
}

/** A factor that spreads the names over 256 places without two on one. */
function freeFactor(): number {
  for (let factor = 0x9e3779b1; ; factor += 2) {
    const places = new Set(spelling.map(([number]) => Math.imul(hashes[number]!, factor) >>> 24));
    if (places.size === spelling.length) return factor;
  }
}

const factor = freeFactor();
const places = new Uint8Array(256);
for (const [number] of spelling) places[Math.imul(hashes[number]!, factor) >>> 24] = number;

/** The number of the name that `bytes` hold at `[from, to)`; `hash` is its own. */
export function numberOfName(hash: number, bytes: Buffer, from: number, to: number): number {
  const number = places[Math.imul(hash, factor) >>> 24]!;
  if (number === 0 || hashes[number] !== hash) return 0;
  return isWord(bytes, from, to, words[number]!) ? number : 0;
}

/** The same of a name in lower case. */
export function numberOfWord(name: string): number {
  const hash = hashName(name);
  const number = places[Math.imul(hash, factor) >>> 24]!;
  return number !== 0 && words[number] === name ? number : 0;
}
