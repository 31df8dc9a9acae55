// HTTP/1.1 from a client: no input may break the server side, a split may change nothing, what passes to an endpoint
// must mean the same again, and llhttp must not understand something else.
import { createClientConnection } from '../../../src/http/h1/client-connection.ts';
import { createServerConnection } from '../../../src/http/h1/server-connection.ts';
import { Relay } from '../../../src/http/h1/testing-relay.ts';
import { TestingStream } from '../../../src/http/h1/testing-stream.ts';
import { type Understood, understand } from '../../../src/http/h1/testing-understood.ts';
import { disagreement, reasonOf } from '../../support/http1-agreement.ts';
import { understandByNode } from '../../support/node-parser.ts';
import { broken, type FuzzTarget } from '../target.ts';

const seeds = [
  'GET /a?b=c HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\nCookie: a=b\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.0\r\n\r\n',
  'GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: close, x-a\r\nX-A: 1\r\nTE: trailers\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw',
  'PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
];

const words = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Host: h\r\n',
  'Connection: ',
  'HTTP/1.0',
  'chunked',
  'OPTIONS * ',
  'HEAD ',
  'ffffffff',
  '\0',
];

function summary({ requests, refused, written, ended }: Understood): string {
  return JSON.stringify([requests, refused?.status, refused?.error.message, written, ended]);
}

/** What reaches an endpoint, as another server would understand it. */
function passed(bytes: Buffer): Understood {
  const client = new TestingStream();
  const endpoint = new TestingStream();
  const nothing = (): void => undefined;
  const upstream = createClientConnection(endpoint, { onFree: nothing, onClose: nothing });
  createServerConnection(client, {
    onRequest: (request) => {
      if (upstream.room > 0) new Relay(request, upstream);
    },
    onRefused: nothing,
    onClose: nothing,
  });
  client.receive(bytes);
  const { text } = endpoint;
  client.destroy();
  endpoint.destroy();
  return understand([text]);
}

export const http1Target: FuzzTarget = {
  name: 'http1',
  seeds,
  words,
  bytesMax: 2048,
  quickInputs: 4000,
  run: (input) => {
    // The end of a line that is not over may be looked at later.
    const bytes = Buffer.concat([input, Buffer.from('\n\n')]);
    const whole = understand([bytes]);
    const middle = bytes.length >> 1;
    const split = understand([bytes.subarray(0, middle), bytes.subarray(middle)]);
    if (summary(whole) !== summary(split)) broken('a split changes what is understood');
    const difference = disagreement(whole, understandByNode(bytes).requests);
    if (difference !== null) broken(`llhttp: ${difference}`);
    const [first] = whole.requests;
    // Without a name to send it to, a request of HTTP/1.0 goes on with an empty Host, which we would refuse.
    if (first !== undefined && first.ended === 'end' && first.authority !== '') {
      const [again] = passed(bytes).requests;
      if (again === undefined || again.ended !== 'end') broken('what passes is not whole any more');
      if (again!.body !== first.body || again!.method !== first.method || again!.target !== first.target) {
        broken('what passes means something else');
      }
    }
    const seen = whole.requests.map(({ method, ended }) => `${method.length} ${ended}`);
    return `${seen.join()} ${reasonOf(whole)}`;
  },
};
