import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeStream } from '../../forward/fake-stream.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../../io/byte-stream.ts';
import { Deadlines } from '../../io/deadlines.ts';
import { protocolOf, SniffedStream } from './sniff.ts';

test('first bytes and what they mean', () => {
  const rows = [
    ['', null],
    ['G', null],
    ['GET ', null],
    ['GET /', 'http1'],
    ['OPTIONS *', 'http1'],
    ['GET http://x/', 'http1'],
    ['M-SEARCH *', 'http1'],
    ['PRI', null],
    ['PRI * HTTP/1', 'http1'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n....', 'http2'],
    ['PRI * HTTP/2.0', 'http2'],
    ['PRIVATE /', 'http1'],
    ['\x16\x03\x01', 'tcp'],
    ['get key\r\n', 'tcp'],
    ['GET key\r\n', 'tcp'],
    ['*1\r\n$4\r\nPING\r\n', 'tcp'],
    [' GET /', 'tcp'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'tcp'],
  ] as const;
  for (const [bytes, expected] of rows) assert.equal(protocolOf(Buffer.from(bytes, 'latin1')), expected, bytes);
});

class Recorder implements ByteStreamHandler {
  text = '';
  events: string[] = [];
  answer: number = Took.All;

  onData(chunk: Buffer): number {
    this.text += chunk.toString();
    return this.answer;
  }

  onEnd(): void {
    this.events.push('end');
  }

  onDrain(): void {
    this.events.push('drain');
  }

  onClose(): void {
    this.events.push('close');
  }
}

interface Scene {
  readonly inner: FakeStream;
  readonly recorder: Recorder;
  readonly sniffed: SniffedStream;
  protocol: string;
}

function scene(startAtOnce = true): Scene {
  const inner = new FakeStream();
  const recorder = new Recorder();
  const made = { protocol: '' };
  const sniffed = new SniffedStream(inner, new Deadlines(5), {
    decide: (protocol: string, stream: ByteStream) => {
      made.protocol = protocol;
      if (startAtOnce) stream.start(recorder);
    },
    closed: () => undefined,
  });
  return Object.assign(made, { inner, recorder, sniffed });
}

test('bytes that came in pieces are delivered once, in order, and then past the sniffer', () => {
  const at = scene();
  at.inner.receive('GE');
  at.inner.receive('T /x');
  at.inner.receive(' HTTP/1.1');
  assert.equal(at.protocol, 'http1');
  assert.equal(at.recorder.text, 'GET /x HTTP/1.1');
  assert.equal(at.inner.handler, at.recorder);
});

test('a handler that pauses on the first bytes gets the rest after resume', () => {
  const at = scene();
  at.recorder.answer = Took.Pause;
  at.inner.receive('GET /x');
  assert.equal(at.inner.paused, true);
  at.recorder.answer = Took.All;
  at.sniffed.resume();
  assert.equal(at.inner.paused, false);
  at.inner.receive('yz');
  assert.equal(at.recorder.text, 'GET /xyz');
});

test('a stream that is started later loses nothing', () => {
  const at = scene(false);
  at.inner.receive('\x16abc');
  assert.equal(at.protocol, 'tcp');
  assert.equal(at.inner.paused, true);
  at.sniffed.start(at.recorder);
  at.inner.receive('def');
  assert.equal(at.recorder.text, '\x16abcdef');
});

test('silence means that the server speaks first', async () => {
  const at = scene();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(at.protocol, 'tcp');
  assert.equal(at.inner.handler, at.recorder);
});

test('an end before anything was said is passed on', () => {
  const at = scene();
  at.inner.receiveEnd();
  assert.deepEqual([at.protocol, at.recorder.events], ['tcp', ['end']]);
  at.inner.close(null, true);
  assert.deepEqual(at.recorder.events, ['end', 'close']);
});
