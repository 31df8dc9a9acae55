import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MeshError } from '../../base/errors.ts';
import { Took } from '../../io/byte-stream.ts';
import type { ComposedRequest, Headers, ResponseHandler, ResponseHead, Trailers } from '../message.ts';
import { createClientConnection, type H1ClientOptions } from './client-connection.ts';
import { TestingStream } from './testing-stream.ts';

class Notes implements ResponseHandler {
  readonly log: string[] = [];
  took: number = Took.All;
  onInform(status: number, headers: Headers): void {
    this.log.push(`inform ${status} ${headers.get('link') ?? ''}`.trim());
  }
  onHead(head: ResponseHead, endStream: boolean): void {
    this.log.push(`${head.status} ${head.contentLength} ${endStream}`);
  }
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
  onFailure(error: MeshError, unprocessed: boolean): void {
    this.log.push(`${error.code}${unprocessed ? ' unprocessed' : ''}`);
  }
}

function composed(method = 'GET', contentLength = 0, upgrade: string | null = null): ComposedRequest {
  const bytes = Buffer.from(`${method} / HTTP/1.1\r\nhost: h\r\n\r\n`);
  return { protocol: 'http1', bytes, method, contentLength, upgrade };
}

function open(options: H1ClientOptions = {}) {
  const stream = new TestingStream();
  const events: string[] = [];
  const connection = createClientConnection(
    stream,
    {
      onFree: () => events.push('free'),
      onClose: (_, error) => events.push(`closed ${error?.code ?? '-'}`),
    },
    options,
  );
  const send = (request = composed()) => {
    const notes = new Notes();
    return { notes, request: connection.send(request, notes) };
  };
  return { stream, events, connection, send };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

type Row = readonly [title: string, answer: string, log: readonly string[], kept: boolean];

const rows: readonly Row[] = [
  ['with a length', ok, ['200 2 false', 'ok', 'end'], true],
  ['empty', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ['200 0 true', 'end'], true],
  ['without a reason', 'HTTP/1.1 204\r\n\r\n', ['204 0 true', 'end'], true],
  ['with an empty reason', 'HTTP/1.1 204 \r\n\r\n', ['204 0 true', 'end'], true],
  [
    'chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n',
    ['200 -1 false', 'a', 'end x,y'],
    true,
  ],
  ['close', `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, ['200 0 true', 'end'], false],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', ['200 0 true', 'end'], false],
  [
    'HTTP/1.0, kept',
    'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n',
    ['200 0 true', 'end'],
    true,
  ],
  [
    'after informational ones',
    `HTTP/1.1 103 Early\r\nLink: l\r\n\r\nHTTP/1.1 102 P\r\n\r\n${ok}`,
    ['inform 103 l', 'inform 102', '200 2 false', 'ok', 'end'],
    true,
  ],
  ['surplus bytes', `${ok}x`, ['200 2 false', 'ok', 'end'], false],
  ['two answers', ok + ok, ['200 2 false', 'ok', 'end'], false],
  [
    'both lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    ['RESPONSE_INVALID'],
    false,
  ],
  [
    'lengths that differ',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    ['RESPONSE_INVALID'],
    false,
  ],
  ['folded line', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n', ['RESPONSE_INVALID'], false],
  ['bare LF', 'HTTP/1.1 200 OK\nX: a\n\n', ['RESPONSE_INVALID'], false],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n', ['RESPONSE_INVALID'], false],
  ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n', ['RESPONSE_INVALID'], false],
  ['status out of range', 'HTTP/1.1 999 X\r\n\r\n', ['RESPONSE_INVALID'], false],
  ['101 that nobody asked for', 'HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n', ['RESPONSE_INVALID'], false],
  [
    'endless informational ones',
    'HTTP/1.1 102 P\r\n\r\n'.repeat(40),
    [...Array(32).fill('inform 102'), 'LIMIT_REACHED'],
    false,
  ],
  [
    'broken chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx',
    ['200 -1 false', 'RESPONSE_INVALID'],
    false,
  ],
  ['head too long', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`, ['LIMIT_REACHED'], false],
];

describe('answers', () => {
  for (const [title, answer, log, kept] of rows) {
    it(title, async () => {
      const { stream, send, connection, events } = open();
      const { notes } = send();
      stream.receive(answer);
      assert.deepEqual(notes.log, log);
      assert.equal(connection.room, kept ? 1 : 0);
      await turn();
      assert.equal(events[0] === 'free', kept, events.join());
      assert.equal(stream.closed, !kept);
    });
    it(`${title}, byte by byte`, () => {
      const { stream, send } = open();
      const { notes } = send();
      for (const byte of answer) stream.receive(byte);
      const join = (words: readonly string[]): string => words.join('|').replace('o|k', 'ok');
      assert.equal(join(notes.log), join(log));
    });
  }

  it('to HEAD has no body whatever it says', () => {
    const { stream, send, events } = open();
    const { notes } = send(composed('HEAD'));
    stream.receive('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    assert.deepEqual(notes.log, ['200 0 true', 'end']);
    assert.deepEqual(events, ['free']);
  });
});

describe('ends', () => {
  const ends: readonly (readonly [title: string, bytes: string, log: readonly string[]])[] = [
    ['before an answer', '', ['CONNECTION_LOST']],
    ['inside a head', 'HTTP/1.1 2', ['CONNECTION_LOST']],
    ['after an informational one', 'HTTP/1.1 102 P\r\n\r\n', ['inform 102', 'CONNECTION_LOST']],
    ['inside a body', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab', ['200 5 false', 'ab', 'CONNECTION_LOST']],
    ['inside chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', ['200 -1 false', 'CONNECTION_LOST']],
    ['of a body that ends so', 'HTTP/1.1 200 OK\r\n\r\nab', ['200 -1 false', 'ab', 'end']],
  ];
  for (const [title, bytes, log] of ends) {
    it(title, async () => {
      const { stream, send, events } = open();
      const { notes, request } = send();
      if (bytes !== '') stream.receive(bytes);
      stream.receiveEnd();
      assert.deepEqual(notes.log, log);
      assert.equal(request.bytesLeft, true);
      await turn();
      assert.match(events.join(), /^closed/);
    });
  }

  it('a body that ends so and is reset was cut short', async () => {
    const { stream, send } = open();
    const { notes } = send();
    stream.receive('HTTP/1.1 200 OK\r\n\r\nab');
    stream.close(new MeshError('PEER_RESET', { reason: 'test' }), true);
    await turn();
    assert.deepEqual(notes.log, ['200 -1 false', 'ab', 'PEER_RESET']);
  });

  it('unprocessed: only when no byte has left', async () => {
    const stuck = open();
    stuck.stream.receiveEnd();
    const late = stuck.send();
    await turn();
    assert.deepEqual(late.notes.log, ['CONNECTION_LOST unprocessed']);
    assert.equal(late.request.bytesLeft, false);

    const held = open();
    held.stream.bufferedBytes = 0;
    const body = held.send(composed('POST', 3));
    assert.equal(body.request.bytesLeft, false, 'the head waits for the body');
    held.stream.close(new MeshError('PEER_RESET', { reason: 'test' }), true);
    await turn();
    assert.equal(body.request.bytesLeft, false);
    assert.deepEqual(body.notes.log, ['PEER_RESET unprocessed']);

    const queued = open();
    const first = queued.send();
    queued.stream.bufferedBytes = queued.stream.bytesWritten;
    queued.stream.close(new MeshError('PEER_RESET', { reason: 'test' }), true);
    await turn();
    assert.deepEqual(first.notes.log, ['PEER_RESET unprocessed']);

    const sent = open();
    const second = sent.send();
    sent.stream.close(new MeshError('PEER_RESET', { reason: 'test' }), true);
    await turn();
    assert.deepEqual(second.notes.log, ['PEER_RESET']);
    assert.equal(second.request.bytesLeft, true);
  });

  it('an idle connection: its end, bytes without a request, time', async () => {
    const ended = open();
    ended.stream.receiveEnd();
    assert.equal(ended.connection.room, 0);
    const chatty = open();
    chatty.stream.receive('HTTP/1.1 408 Request Timeout\r\n\r\n');
    assert.equal(chatty.connection.room, 0);
    const old = open({ idleTimeoutMs: 10 });
    while (!old.stream.closed) await new Promise((resolve) => setTimeout(resolve, 5));
    await turn();
    assert.deepEqual(ended.events, ['closed -']);
    assert.deepEqual(chatty.events, ['closed RESPONSE_INVALID']);
    assert.deepEqual(old.events, ['closed -']);
  });

  it('an answer before the whole body was sent: whole for the exchange, the end for the connection', async () => {
    const { stream, send, events, connection } = open();
    const { notes, request } = send(composed('POST', 10));
    request.write(Buffer.from('abc'));
    await turn();
    stream.receive('HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n');
    assert.deepEqual(notes.log, ['413 0 true', 'end']);
    assert.equal(request.write(Buffer.from('def')), Took.All);
    request.end(null);
    await turn();
    assert.equal(connection.room, 0);
    assert.deepEqual(events, ['closed -']);
  });

  it('cancel: the endpoint sees a reset, the handler nothing', async () => {
    const { stream, send, events } = open();
    const { notes, request } = send();
    request.cancel();
    assert.equal(stream.wasReset, true);
    await turn();
    assert.deepEqual(notes.log, []);
    assert.deepEqual(events, ['closed -']);
    const whole = open();
    const answered = whole.send();
    whole.stream.receive(ok);
    answered.request.cancel();
    assert.equal(whole.connection.room, 1);
  });

  it('drain: after the answer', async () => {
    const { stream, send, events, connection } = open();
    const { notes } = send();
    connection.drain();
    stream.receive(ok);
    await turn();
    assert.deepEqual(notes.log, ['200 2 false', 'ok', 'end']);
    assert.deepEqual(events, ['closed -']);
  });
});

describe('back-pressure', () => {
  it('an answer that is paused waits, and the next one is read', () => {
    const { stream, send } = open();
    const { notes, request } = send();
    notes.took = Took.Pause;
    stream.receive('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
    assert.equal(stream.paused, true);
    stream.receive('cd');
    assert.deepEqual(notes.log, ['200 4 false', 'ab']);
    request.resume();
    assert.deepEqual(notes.log, ['200 4 false', 'ab', 'cd', 'end']);
    const next = send();
    stream.receive(ok);
    assert.deepEqual(next.notes.log, ['200 2 false', 'ok', 'end']);
  });

  it('a pause from outside does not outlive its request', () => {
    const { stream, send } = open();
    const { request, notes } = send();
    stream.receive('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n');
    request.pause();
    assert.equal(stream.paused, true);
    request.resume();
    stream.receive('ok');
    assert.deepEqual(notes.log, ['200 2 false', 'ok', 'end']);
    assert.equal(stream.paused, false);
  });
});
