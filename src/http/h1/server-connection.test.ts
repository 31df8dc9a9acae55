import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MeshError } from '../../base/errors.ts';
import { Took } from '../../io/byte-stream.ts';
import type { IncomingRequest, RequestHandler, ResponseHead, Trailers } from '../message.ts';
import type { H1ServerOptions } from './limits.ts';
import { createServerConnection } from './server-connection.ts';
import { TestingStream } from './testing-stream.ts';

class Notes implements RequestHandler {
  readonly log: string[] = [];
  took: number = Took.All;
  onData(chunk: Buffer): number {
    this.log.push(chunk.toString('latin1'));
    return this.took;
  }
  onEnd(trailers: Trailers): void {
    this.log.push(trailers === null ? 'end' : `end ${trailers.join()}`);
  }
  onDrain(): void {
    this.log.push('drain');
  }
  onAbort(error: MeshError, wasReset: boolean): void {
    this.log.push(`abort ${error.code} ${wasReset}`);
  }
}

function serve(options: H1ServerOptions = {}, autoStart = true) {
  const stream = new TestingStream();
  const requests: IncomingRequest[] = [];
  const notes: Notes[] = [];
  const events: string[] = [];
  const connection = createServerConnection(
    stream,
    {
      onRequest: (request) => {
        requests.push(request);
        if (!autoStart) return;
        const note = new Notes();
        notes.push(note);
        request.start(note);
      },
      onRefused: (status, error) => events.push(`refused ${status} ${error.code}`),
      onClose: (error) => events.push(`closed ${error?.code ?? '-'}`),
    },
    options,
  );
  return { stream, requests, notes, events, connection };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const get = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const post = (length: number): string => `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n`;
const gone = new MeshError('CONNECTION_LOST', { reason: 'test' });

/** A head from another protocol. */
function foreign(status: number, contentLength: number, headers: readonly (readonly [string, string])[]): ResponseHead {
  return {
    protocol: 'http2',
    status,
    contentLength,
    headBytes: 0,
    headers: {
      get: () => null,
      has: () => false,
      hasPrefix: () => false,
      each: (visit) => {
        for (const [name, value] of headers) visit(name, value);
      },
    },
  };
}

describe('answers of our own', () => {
  it('are whole, also to HEAD and to HTTP/1.0', async () => {
    const { stream, requests } = serve();
    stream.receive(get);
    requests[0]!.answer(503, [['retry-after', '1\r\nX: 1']], 'no');
    await turn();
    assert.equal(
      stream.take(),
      'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1  X: 1\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nno',
    );
    stream.receive('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
    requests[1]!.answer(404, [], 'not here');
    await turn();
    assert.equal(stream.take(), 'HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\n');
    stream.receive('GET / HTTP/1.0\r\n\r\n');
    requests[2]!.answer(200, [], '');
    await turn();
    assert.equal(stream.take(), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    assert.equal(stream.ended, true);
  });

  it('come once: a second one and what follows a reset are passed over', async () => {
    const { stream, requests } = serve();
    stream.receive(get);
    requests[0]!.answer(200, [], 'a');
    requests[0]!.answer(500, [], 'b');
    requests[0]!.reset(gone);
    await turn();
    assert.match(stream.take(), /200 OK[\s\S]*\r\n\r\na$/);
    assert.equal(stream.wasReset, false);
  });
});

describe('heads of another protocol', () => {
  const rows: readonly (readonly [ResponseHead, boolean, string])[] = [
    [foreign(200, 0, []), true, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    [foreign(200, -1, [['a', 'b']]), true, 'HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 0\r\n\r\n'],
    [foreign(204, 0, [['content-length', '0']]), true, 'HTTP/1.1 204 No Content\r\n\r\n'],
    [foreign(304, 0, [['content-length', '9']]), true, 'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n'],
  ];
  for (const [head, endStream, expected] of rows) {
    it(expected.split('\r\n').slice(0, 2).join(', '), async () => {
      const { stream, requests } = serve();
      stream.receive(get);
      requests[0]!.respond(head, null, endStream);
      await turn();
      assert.equal(stream.take(), expected);
      assert.equal(stream.ended, false);
    });
  }

  it('without a length are chunked, with trailers', async () => {
    const { stream, requests } = serve();
    stream.receive(get);
    requests[0]!.respond(foreign(200, -1, []), { remove: [], set: [], add: [['x', 'y']] }, false);
    requests[0]!.write(Buffer.from('abc'));
    requests[0]!.end([
      ['grpc-status', '0'],
      ['content-length', '1'],
    ]);
    await turn();
    const chunks = '3\r\nabc\r\n0\r\ngrpc-status: 0\r\n\r\n';
    assert.equal(stream.take(), `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n${chunks}`);
  });
});

describe('answers that are not as long as they said', () => {
  it('shorter: the client sees a reset', () => {
    const { stream, requests } = serve();
    stream.receive(get);
    requests[0]!.respond(foreign(200, 5, []), null, false);
    requests[0]!.write(Buffer.from('abc'));
    requests[0]!.end(null);
    assert.equal(stream.wasReset, true);
  });
  it('longer: the same, and nothing of the surplus is sent', () => {
    const { stream, requests } = serve();
    stream.receive(get);
    requests[0]!.respond(foreign(200, 2, []), null, false);
    requests[0]!.write(Buffer.from('abc'));
    assert.equal(stream.wasReset, true);
    assert.doesNotMatch(stream.text, /abc/);
  });
});

describe('back-pressure', () => {
  it('nothing is delivered before start, and nothing is lost', () => {
    const { stream, requests } = serve({}, false);
    stream.receive(`${post(6)}abc`);
    assert.equal(stream.paused, true);
    stream.receive('def');
    const notes = new Notes();
    requests[0]!.start(notes);
    assert.deepEqual(notes.log, ['abc', 'def', 'end']);
    assert.equal(stream.paused, false);
  });

  it('a body that is paused waits, inside a chunk as well', () => {
    const { stream, requests, notes } = serve();
    stream.receive('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    notes[0]!.took = Took.Pause;
    stream.receive('1\r\na\r\n1\r\nb\r\n0\r\n\r\n');
    assert.deepEqual(notes[0]!.log, ['a']);
    assert.equal(stream.paused, true);
    requests[0]!.resume();
    assert.deepEqual(notes[0]!.log, ['a', 'b']);
    requests[0]!.resume();
    assert.deepEqual(notes[0]!.log, ['a', 'b', 'end']);
    assert.equal(stream.paused, false);
  });

  it('a client that does not read makes write say Pause, once it can say so', () => {
    const { stream, requests, notes } = serve();
    stream.receive(get);
    stream.answer = Took.Pause;
    requests[0]!.respond(foreign(200, 100_000, []), null, false);
    requests[0]!.write(Buffer.alloc(40_000));
    assert.equal(requests[0]!.write(Buffer.alloc(1000)), Took.Pause);
    stream.drain();
    assert.deepEqual(notes[0]!.log, ['end', 'drain']);
    assert.equal(requests[0]!.write(Buffer.alloc(1000)), Took.All);
  });

  it('a request that ended while it was paused leaves nothing paused', async () => {
    const { stream, requests, notes } = serve();
    stream.receive(post(3));
    notes[0]!.took = Took.Pause;
    stream.receive('abc');
    assert.equal(stream.paused, true);
    requests[0]!.answer(200, [], '');
    assert.equal(stream.paused, false);
    stream.receive(get);
    assert.equal(requests.length, 2);
  });
});

describe('answers before the body was read', () => {
  it('a short rest is thrown away and the connection kept', async () => {
    const { stream, requests } = serve();
    stream.receive(`${post(10)}abc`);
    requests[0]!.answer(403, [], '');
    await turn();
    assert.doesNotMatch(stream.take(), /close/);
    stream.receive(`defghij${get}`);
    assert.equal(requests.length, 2);
  });

  it('a long one ends the connection, after the client could read the answer', async () => {
    const { stream, requests, events } = serve({ lingerMs: 20 });
    stream.receive(`${post(1_000_000)}abc`);
    requests[0]!.answer(413, [], '');
    await turn();
    assert.match(stream.take(), /^HTTP\/1.1 413[\s\S]*connection: close/);
    assert.deepEqual([stream.ended, stream.closed], [true, false]);
    stream.receive(Buffer.alloc(100_000));
    await until(() => stream.closed);
    await turn();
    assert.deepEqual(events, ['closed -']);
  });

  it('chunks are thrown away up to the limit', async () => {
    const { stream, requests } = serve({ drainBodyBytesMax: 100 });
    stream.receive('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    requests[0]!.answer(403, [], '');
    await turn();
    stream.receive('40\r\n');
    stream.receive(Buffer.alloc(64));
    assert.equal(stream.ended, false);
    stream.receive('\r\n40\r\n');
    stream.receive(Buffer.alloc(64));
    assert.equal(stream.ended, true);
  });

  it('a client that waits for 100 is told that the connection ends', async () => {
    const { stream, requests } = serve();
    stream.receive('PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    requests[0]!.answer(401, [], '');
    await turn();
    assert.match(stream.take(), /connection: close/);
    assert.equal(stream.ended, true);
  });
});

describe('ends', () => {
  it('a client that ends inside a body aborts', () => {
    const { stream, notes } = serve();
    stream.receive(`${post(10)}abc`);
    stream.receiveEnd();
    assert.deepEqual(notes[0]!.log, ['abc', 'abort CONNECTION_LOST false']);
  });

  it('a client that closes its side only still gets its answer', async () => {
    const { stream, requests, notes } = serve();
    stream.receive(get);
    stream.receiveEnd();
    requests[0]!.answer(200, [], 'x');
    await turn();
    assert.match(stream.take(), /connection: close\r\n\r\nx$/);
    assert.equal(stream.closed, true);
    assert.deepEqual(notes[0]!.log, ['end']);
  });

  it('a reset reaches the handler, whenever that comes', async () => {
    const { stream, requests, events } = serve({}, false);
    stream.receive(get);
    stream.close(new MeshError('PEER_RESET', { reason: 'test' }), true);
    await turn();
    const notes = new Notes();
    requests[0]!.start(notes);
    await turn();
    assert.deepEqual(notes.log, ['abort PEER_RESET true']);
    assert.deepEqual(events, ['closed PEER_RESET']);
    requests[0]!.answer(200, [], '');
    assert.equal(requests[0]!.write(Buffer.from('x')), Took.All);
    assert.equal(requests[0]!.head.target, '/', 'what a log needs stays');
    assert.equal(requests[0]!.head.headers.get('host'), null);
  });

  it('a broken body is answered with 400 and aborts', async () => {
    const { stream, notes } = serve();
    stream.receive('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx');
    assert.deepEqual(notes[0]!.log, ['abort REQUEST_INVALID false']);
    assert.match(stream.take(), /^HTTP\/1.1 400 /);
  });
});

describe('drain and time-outs', () => {
  it('idle: ends soon, and takes what is on its way until then; busy: after the answer, which says so', async () => {
    const idle = serve({ lingerMs: 20, drainIdleMs: 20 });
    idle.connection.drain();
    assert.equal(idle.stream.ended, false);
    await until(() => idle.stream.ended);
    const late = serve({ lingerMs: 20, drainIdleMs: 60_000 });
    late.connection.drain();
    late.stream.receive(get);
    late.requests[0]!.answer(200, [], '');
    await until(() => late.stream.closed);
    assert.match(late.stream.take(), /connection: close/);
    const begun = serve({ lingerMs: 20, drainIdleMs: 60_000 });
    begun.stream.receive(get);
    begun.requests[0]!.respond(foreign(200, 1, []), null, false);
    begun.connection.drain();
    begun.requests[0]!.write(Buffer.from('x'));
    begun.requests[0]!.end(null);
    assert.equal(begun.stream.ended, false, 'it has not said that it is the last');
    const busy = serve({ lingerMs: 20 });
    busy.stream.receive(get + get);
    busy.connection.drain();
    assert.equal(busy.stream.ended, false);
    busy.requests[0]!.answer(200, [], '');
    await until(() => busy.stream.closed);
    assert.match(busy.stream.take(), /connection: close/);
    assert.equal(busy.requests.length, 1);
  });

  it('an idle connection ends', async () => {
    const { stream } = serve({ idleTimeoutMs: 20, lingerMs: 10 });
    await until(() => stream.closed);
    assert.equal(stream.text, '');
  });

  it('a head that takes too long is answered with 408', async () => {
    const { stream, events } = serve({ headTimeoutMs: 20, lingerMs: 10 });
    stream.receive('GET / HT');
    await until(() => stream.closed);
    assert.match(stream.text, /^HTTP\/1.1 408 /);
    assert.equal(events[0], 'refused 408 REQUEST_INVALID');
  });

  it('an answer that is being read keeps the connection open past its end', async () => {
    const { stream, requests } = serve({ lingerMs: 10 });
    stream.receive(`GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    stream.bufferedBytes = 1000;
    requests[0]!.answer(200, [], '');
    for (let left = 900; left > 600; left -= 100) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      assert.equal(stream.closed, false);
      stream.bufferedBytes = left;
    }
    stream.bufferedBytes = 0;
    await until(() => stream.closed);
  });
});
