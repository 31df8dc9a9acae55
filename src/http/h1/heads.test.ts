import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { understand } from './testing-understood.ts';

const host = 'Host: h\r\n';
const get = `GET / HTTP/1.1\r\n${host}`;

type Row = readonly [title: string, bytes: string, expected: string];

/** What came of the first request: `METHOD target authority [length] [body]`, or the status and the reason. */
function outcome(bytes: string, limits = {}): string {
  const { requests, refused } = understand([bytes], { limits });
  const [first] = requests;
  if (refused !== null && requests.length === 0) return `${refused.status} ${refused.error.message}`;
  if (first === undefined) return 'incomplete';
  const { method, target, authority, contentLength, ended } = first;
  return `${method} ${target} ${authority} ${contentLength}${ended === 'end' ? '' : ` ${ended}`}`;
}

const broke = (reason: string, status = 400): string => `${status} the client broke HTTP: ${reason}`;

const taken: readonly Row[] = [
  ['the least', `${get}\r\n`, 'GET / h 0'],
  ['one empty line before', `\r\n${get}\r\n`, 'GET / h 0'],
  ['any token is a method', `purge-all! /x HTTP/1.1\r\n${host}\r\n`, 'purge-all! /x h 0'],
  ['method in lower case is another one', `get / HTTP/1.1\r\n${host}\r\n`, 'get / h 0'],
  ['empty value', `${get}X:\r\nY: \r\n\r\n`, 'GET / h 0'],
  ['value with tab and bytes above ASCII', `${get}X: a\tb\xff\r\n\r\n`, 'GET / h 0'],
  ['no space after the colon', 'GET / HTTP/1.1\r\nHost:h\r\n\r\n', 'GET / h 0'],
  ['space around a value', 'GET / HTTP/1.1\r\nHost: \t h \t\r\n\r\n', 'GET / h 0'],
  ['port', 'GET / HTTP/1.1\r\nHost: h:8080\r\n\r\n', 'GET / h:8080 0'],
  ['IPv6', 'GET / HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n', 'GET / [fd00::1]:80 0'],
  ['asterisk', `OPTIONS * HTTP/1.1\r\n${host}\r\n`, 'OPTIONS * h 0'],
  ['absolute target', `GET http://h/a?b HTTP/1.1\r\n${host}\r\n`, 'GET /a?b h 0'],
  ['absolute target without a path', `GET http://h?b HTTP/1.1\r\n${host}\r\n`, 'GET /?b h 0'],
  ['absolute target of OPTIONS without a path', `OPTIONS http://h HTTP/1.1\r\n${host}\r\n`, 'OPTIONS * h 0'],
  ['absolute target and Host agree but for the port', `GET http://H:80/ HTTP/1.1\r\n${host}\r\n`, 'GET / h 0'],
  ['absolute target of HTTP/1.0 without Host', 'GET http://h/ HTTP/1.0\r\n\r\n', 'GET / h 0'],
  ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', 'GET /  0'],
  ['odd characters that clients send', `GET /{a}|b"<>^\`\\ HTTP/1.1\r\n${host}\r\n`, 'GET /{a}|b"<>^`\\ h 0'],
  ['length', `${get}Content-Length: 0000\r\n\r\n`, 'GET / h 0'],
  ['length and no body yet', `${get}content-length: 12\r\n\r\n`, 'GET / h 12 null'],
  ['chunked', `${get}transfer-encoding:CHUNKED\r\n\r\n`, 'GET / h -1 null'],
];

const refusedRows: readonly Row[] = [
  ['both lengths', `${get}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 'both Content-Length and'],
  ['two lengths that differ', `${get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 'several Content-Length'],
  ['two lengths that agree', `${get}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, 'several Content-Length'],
  ['a list of lengths', `${get}Content-Length: 1, 1\r\n\r\n`, 'bad Content-Length'],
  ['length with a sign', `${get}Content-Length: +1\r\n\r\n`, 'bad Content-Length'],
  ['negative length', `${get}Content-Length: -1\r\n\r\n`, 'bad Content-Length'],
  ['hexadecimal length', `${get}Content-Length: 0x1\r\n\r\n`, 'bad Content-Length'],
  ['empty length', `${get}Content-Length:\r\n\r\n`, 'bad Content-Length'],
  ['length beyond 2^53', `${get}Content-Length: 9007199254740993\r\n\r\n`, 'bad Content-Length'],
  ['tab before a coding', `${get}Transfer-Encoding:\tchunked\r\n\r\n`, 'tab beside Transfer-Encoding'],
  ['tab after a length', `${get}Content-Length: 1\t\r\n\r\n`, 'tab beside Content-Length'],
  ['chunked twice', `${get}Transfer-Encoding: chunked, chunked\r\n\r\n`, 'Transfer-Encoding that'],
  ['chunked not last', `${get}Transfer-Encoding: chunked, gzip\r\n\r\n`, 'Transfer-Encoding that'],
  ['identity', `${get}Transfer-Encoding: identity\r\n\r\n`, 'Transfer-Encoding that'],
  ['chunked in quotes', `${get}Transfer-Encoding: "chunked"\r\n\r\n`, 'Transfer-Encoding that'],
  ['chunked with a vertical tab', `${get}Transfer-Encoding: \x0bchunked\r\n\r\n`, 'control character in a header'],
  ['chunked by two headers', `${get}Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`, 'several Tra'],
  ['coding in HTTP/1.0', 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 'Transfer-Encoding in HTTP/1.0'],
  ['bare LF after the request line', 'GET / HTTP/1.1\nHost: h\r\n\r\n', 'bad end of the request line'],
  ['bare LF after a header', 'GET / HTTP/1.1\r\nHost: h\n\r\n', 'bare LF'],
  ['bare LF for the empty line', `${get}\n`, 'bare LF'],
  ['bare CR in a value', `${get}X: a\rb\r\n\r\n`, 'CR without LF'],
  ['bare CR for the empty line', `${get}\rX`, 'CR without LF'],
  ['folded line', `${get}X: a\r\n b\r\n\r\n`, 'folded header line'],
  ['folded first line', `GET / HTTP/1.1\r\n Host: h\r\n\r\n`, 'folded header line'],
  ['space before the colon', 'GET / HTTP/1.1\r\nHost : h\r\n\r\n', 'space in or after a header name'],
  ['space in a name', `${get}X Y: a\r\n\r\n`, 'space in or after a header name'],
  ['tab before the colon', 'GET / HTTP/1.1\r\nTransfer-Encoding\t: chunked\r\n\r\n', 'space in or after a header name'],
  ['no colon', `${get}X\r\n\r\n`, 'header without a colon'],
  ['no name', `${get}: x\r\n\r\n`, 'header without a name'],
  ['NUL in a name', `${get}X\0Y: x\r\n\r\n`, 'bad byte in a header name'],
  ['byte above ASCII in a name', `${get}X\xe9: x\r\n\r\n`, 'bad byte in a header name'],
  ['NUL in a value', `${get}X: a\0b\r\n\r\n`, 'NUL in a header value'],
  ['control character in a value', `${get}X: a\x1bb\r\n\r\n`, 'control character in a header value'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 'no Host'],
  ['two Hosts', `GET / HTTP/1.1\r\n${host}${host}\r\n`, 'several Host'],
  ['empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 'bad Host'],
  ['Host with a path', 'GET / HTTP/1.1\r\nHost: h/x\r\n\r\n', 'bad Host'],
  ['Host with user information', 'GET / HTTP/1.1\r\nHost: a@h\r\n\r\n', 'bad Host'],
  ['list of Hosts', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'bad Host'],
  ['Host with a bad port', 'GET / HTTP/1.1\r\nHost: a:b\r\n\r\n', 'bad Host'],
  [
    'absolute target and Host disagree',
    `GET http://other/ HTTP/1.1\r\n${host}\r\n`,
    'Host and request target disagree',
  ],
  ['absolute target with user information', `GET http://a@h/ HTTP/1.1\r\n${host}\r\n`, 'request target is neither'],
  ['absolute target of another scheme', `GET ftp://h/ HTTP/1.1\r\n${host}\r\n`, 'request target is neither'],
  ['asterisk of another method', `M-SEARCH * HTTP/1.1\r\n${host}\r\n`, 'target * of a method other than OPTIONS'],
  ['target without a slash', `GET x HTTP/1.1\r\n${host}\r\n`, 'request target is neither'],
  ['target of an authority', `GET h:80 HTTP/1.1\r\n${host}\r\n`, 'request target is neither'],
  ['fragment', `GET /a#b HTTP/1.1\r\n${host}\r\n`, 'bad request target'],
  ['target with bytes above ASCII', `GET /\xe9 HTTP/1.1\r\n${host}\r\n`, 'bad request target'],
  ['target with NUL', `GET /\0 HTTP/1.1\r\n${host}\r\n`, 'bad request target'],
  ['two spaces before the target', `GET  / HTTP/1.1\r\n${host}\r\n`, 'bad request target'],
  ['two spaces after the target', `GET /  HTTP/1.1\r\n${host}\r\n`, 'bad HTTP version'],
  ['space before the method', ` GET / HTTP/1.1\r\n${host}\r\n`, 'bad method'],
  ['method that is no token', `G(T / HTTP/1.1\r\n${host}\r\n`, 'bad method'],
  ['method without an end', `${'A'.repeat(40)} / HTTP/1.1\r\n${host}\r\n`, 'bad method'],
  ['HTTP/0.9', 'GET /\r\n\r\n', 'bad request target'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'bad method'],
  ['space after the version', `GET / HTTP/1.1 \r\n${host}\r\n`, 'bad end of the request line'],
  ['version in lower case', `GET / http/1.1\r\n${host}\r\n`, 'bad HTTP version'],
  ['version with two digits', `GET / HTTP/1.10\r\n${host}\r\n`, 'bad end of the request line'],
  ['two empty lines before', `\r\n\r\n${get}\r\n`, 'bad method'],
];

const otherStatus: readonly Row[] = [
  ['CONNECT', 'CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n', broke('CONNECT is not for this port', 405)],
  ['coding we do not know', `${get}Transfer-Encoding: gzip, chunked\r\n\r\n`, '501 '],
  ['expectation we do not know', `${get}Expect: more\r\n\r\n`, '417 '],
  ['HTTP/2 on its own', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '505 '],
  ['HTTP/1.2', `GET / HTTP/1.2\r\n${host}\r\n`, '505 '],
  ['target too long', `GET /${'a'.repeat(16 * 1024)} HTTP/1.1\r\n${host}\r\n`, '414 limit uriBytesMax of 16384'],
  ['target too long and unfinished', `GET /${'a'.repeat(17 * 1024)}`, '414 limit uriBytesMax of 16384'],
  ['head too long', `${get}X: ${'a'.repeat(65 * 1024)}\r\n\r\n`, '431 limit headBytesMax of 65536'],
  ['head too long and unfinished', `${get}X: ${'a'.repeat(65 * 1024)}`, '431 limit headBytesMax of 65536'],
  ['too many headers', `${get}${'X: a\r\n'.repeat(128)}\r\n`, '431 limit headersMax of 128'],
  ['too many options', `${get}Connection: ${'a,'.repeat(40)}\r\n\r\n`, '431 limit connectionOptionsMax of 32'],
];

describe('request heads', () => {
  for (const [title, bytes, expected] of taken) it(title, () => assert.equal(outcome(bytes), expected));
  for (const [title, bytes, reason] of refusedRows) {
    it(`${title} is refused`, () => {
      const result = outcome(bytes);
      assert.ok(result.startsWith(broke(reason)), result);
    });
  }
  for (const [title, bytes, expected] of otherStatus) {
    it(`${title}: ${expected.slice(0, 3)}`, () => {
      const result = outcome(bytes);
      assert.ok(result.startsWith(expected), result);
      const { written, ended } = understand([bytes]);
      assert.ok(written.startsWith(`HTTP/1.1 ${expected.slice(0, 3)} `), written);
      assert.match(written, /\r\nconnection: close\r\n/);
      assert.equal(ended, true);
    });
  }
});

const chunked = `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;

/** Body, trailers, and how it ended. */
const bodies: readonly (readonly [title: string, bytes: string, expected: readonly unknown[]])[] = [
  ['nothing', '0\r\n\r\n', ['', null, 'end']],
  ['one chunk', '3\r\nabc\r\n0\r\n\r\n', ['abc', null, 'end']],
  ['leading zeros', '0003\r\nabc\r\n00\r\n\r\n', ['abc', null, 'end']],
  ['extensions', '3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n', ['abc', null, 'end']],
  ['CRLF in data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', ['\r\n\r\n', null, 'end']],
  [
    'trailers',
    '0\r\nX-A: 1\r\nx-b:2\r\n\r\n',
    [
      '',
      [
        ['x-a', '1'],
        ['x-b', '2'],
      ],
      'end',
    ],
  ],
  ['trailers that must not be', '0\r\nHost: x\r\nAuthorization: t\r\n\r\n', ['', null, 'end']],
];

const brokenBodies: readonly (readonly [title: string, bytes: string, code: string])[] = [
  ['no size', '\r\nabc', 'chunk without a size'],
  ['size with a sign', '+3\r\nabc', 'chunk without a size'],
  ['negative size', '-3\r\nabc', 'chunk without a size'],
  ['size with 0x', '0x3\r\nabc', 'bad byte in a chunk size'],
  ['space before the size', ' 3\r\nabc', 'chunk without a size'],
  ['space after the size', '3 \r\nabc', 'bad byte in a chunk size'],
  ['size too long', '00000000000003\r\nabc', 'chunk size too long'],
  ['size beyond everything', 'fffffffffffffffff\r\n', 'chunk size too long'],
  ['bare LF after the size', '3\nabc', 'bad byte in a chunk size'],
  ['bare LF after an extension', '3;a\nabc', 'bad byte in a chunk extension'],
  ['CR alone after the size', '3\rabc', 'CR without LF after a chunk size'],
  ['NUL in an extension', '3;a\0\r\nabc', 'bad byte in a chunk extension'],
  ['more data than said', '3\r\nabcd\r\n', 'no CR after the data'],
  ['bare LF after data', '3\r\nabc\n0\r\n\r\n', 'no CR after the data'],
  ['CR alone after data', '3\r\nabc\rX', 'no LF after the data'],
  ['bare LF after the last chunk', '0\r\n\n', 'trailers: bare LF'],
  ['length among trailers', '0\r\nContent-Length: 1\r\n\r\n', 'trailers: Content-Length'],
  ['coding among trailers', '0\r\nTransfer-Encoding: chunked\r\n\r\n', 'trailers: Content-Length or'],
  ['extension without a name', '3;?\r\nabc', 'bad byte in a chunk extension'],
  ['extension with an open quote', '3;a="b\r\nabc', 'bad byte in a chunk extension'],
  ['folded trailer', '0\r\nX: a\r\n b\r\n\r\n', 'trailers: folded header line'],
  ['extensions too long', `3;${'a'.repeat(5000)}\r\nabc`, 'chunkExtensionBytesMax'],
  ['many small extensions', `${`1;${'a'.repeat(100)}\r\nx\r\n`.repeat(50)}`, 'chunkExtensionBytesMax'],
  ['trailers too long', `0\r\nX: ${'a'.repeat(9000)}\r\n\r\n`, 'trailerBytesMax'],
  ['trailers too many', `0\r\n${'X: a\r\n'.repeat(200)}\r\n`, 'headersMax'],
];

describe('chunked bodies', () => {
  for (const [title, bytes, expected] of bodies) {
    it(title, () => {
      const { requests } = understand([`${chunked}${bytes}${get}\r\n`]);
      const [first, second] = requests;
      assert.deepEqual([first?.body, first?.trailers, first?.ended], expected);
      assert.equal(second?.method, 'GET', 'the next request begins where the body ended');
    });
  }
  for (const [title, bytes, reason] of brokenBodies) {
    it(`${title} is refused`, () => {
      const { requests, written, ended } = understand([`${chunked}${bytes}`]);
      assert.equal(requests.length, 1);
      assert.notEqual(requests[0]!.ended, 'end');
      assert.notEqual(requests[0]!.ended, null);
      assert.ok(/^HTTP\/1.1 4[03][01] /.test(written), written);
      assert.ok(written.includes(reason), written);
      assert.equal(ended, true);
    });
  }
});
