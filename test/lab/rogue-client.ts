// Knocks at a tunnel port from outside the mesh with the certificate it is given, and tells on stdout what came of it.
// Uses `node:http2`, so that the answer does not depend on our own HTTP/2.
import { connect as connectHttp2, constants } from 'node:http2';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';

interface Knock {
  readonly host: string;
  readonly authority: string;
  readonly key: string;
  readonly cert: string;
  /** A `forwarded` header, '' for none. */
  readonly forwarded: string;
}

const timeoutMs = 10_000;
const knock = JSON.parse(await text(process.stdin)) as Knock;

function finish(answer: object): void {
  process.stdout.write(JSON.stringify(answer), () => process.exit(0));
}

setTimeout(() => finish({ taken: false, error: 'no answer' }), timeoutMs);
const credentials = knock.cert === '' ? {} : { key: knock.key, cert: knock.cert };
const options = { host: knock.host, port: 15008, ALPNProtocols: ['h2'], rejectUnauthorized: false, ...credentials };
const socket = connectTls(options);
const failed = (error: Error): void => finish({ taken: false, error: error.message });
socket.on('error', failed);
socket.on('close', () => finish({ taken: false, error: 'closed' }));
socket.on('secureConnect', () => {
  const session = connectHttp2('https://tunnel', { createConnection: () => socket });
  session.on('error', failed);
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'CONNECT',
    [constants.HTTP2_HEADER_AUTHORITY]: knock.authority,
    ...(knock.forwarded === '' ? {} : { forwarded: knock.forwarded }),
  });
  stream.on('error', failed);
  stream.on('response', (headers) => {
    const status = Number(headers[constants.HTTP2_HEADER_STATUS]);
    finish({ taken: status === 200, status });
  });
});
