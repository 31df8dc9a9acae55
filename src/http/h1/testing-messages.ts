// For property tests and fuzzing: requests that are well-formed, nearly so, or nonsense, made of the pieces that
// parsers have disagreed about.
import fc from 'fast-check';

const startLines = [
  'GET / HTTP/1.1',
  'POST /a?b=c HTTP/1.1',
  'PUT /x HTTP/1.1',
  'HEAD / HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET http://h/p HTTP/1.1',
  'GET / HTTP/1.0',
  'DELETE /%2e%2e/ HTTP/1.1',
  'GET  / HTTP/1.1',
  'GET /a b HTTP/1.1',
  'GET / HTTP/2.0',
  'GET /',
  'G@T / HTTP/1.1',
];

const lines = [
  'Host: h',
  'host:h',
  'Host : h',
  'Host: h:80',
  'X-A: 1',
  'X-A:',
  ' folded',
  '\tfolded',
  'X B: 1',
  ': x',
  'X',
  'X: a\0b',
  'X: \x7f',
  'X: \xe9',
  'Cookie: a=b',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: x-a, host',
  'Content-Length: 0',
  'Content-Length: 3',
  'Content-Length: 3, 3',
  'Content-Length: +3',
  'Content-Length: 03',
  'content-length:3 ',
  'Content-Length: 3\x0b',
  'Content-Length: ',
  'Transfer-Encoding: chunked',
  'transfer-encoding:chunked',
  'Transfer-Encoding: Chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: chunked;q=1',
  'Trailer: x',
  'TE: trailers',
];

const bodies = [
  '',
  'abc',
  '3\r\nabc\r\n0\r\n\r\n',
  '3;x=y\r\nabc\r\n0\r\n\r\n',
  '3 \r\nabc\r\n0\r\n\r\n',
  '3\nabc\n0\n\n',
  '3\r\nabcd\r\n0\r\n\r\n',
  '03\r\nabc\r\n0\r\nX: 1\r\n\r\n',
  '0\r\n\r\n',
  '0x3\r\nabc\r\n0\r\n\r\n',
  '-1\r\n\r\n',
  '5\r\nabc',
  'G\r\n',
  '3\r\nabc\r\n',
];

const lineEnds = fc.oneof({ weight: 30, arbitrary: fc.constant('\r\n') }, fc.constantFrom('\n', '\r', '\r\r\n', ''));
const goodLines = fc.constantFrom('Host: h', 'X-A: 1', 'Cookie: a=b', 'Accept: */*', 'Content-Length: 3');

const message = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...startLines.slice(0, 4)) }, fc.constantFrom(...startLines)),
    fc.array(fc.oneof({ weight: 2, arbitrary: goodLines }, fc.constantFrom(...lines)), { maxLength: 5 }),
    fc.boolean(),
    fc.constantFrom(...bodies),
    fc.array(lineEnds, { minLength: 8, maxLength: 8 }),
  )
  .map(([start, headers, withHost, body, ends]) => {
    const all = [start, ...(withHost ? ['Host: h'] : []), ...headers, ''];
    return all.map((line, at) => line + (ends[at] ?? '\r\n')).join('') + body;
  });

/** One to three messages in a row, at times with a byte changed. */
export const messages: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.array(message, { minLength: 1, maxLength: 3 }),
    fc.option(fc.tuple(fc.nat(400), fc.nat(255)), { freq: 3, nil: null }),
  )
  .map(([texts, change]) => {
    const bytes = Buffer.from(texts.join(''), 'latin1');
    if (change !== null && bytes.length > 0) bytes[change[0] % bytes.length] = change[1];
    return bytes;
  });

/** `bytes` in pieces that begin at the places `cuts` name. */
export function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length)).filter((b) => b.length > 0);
}
