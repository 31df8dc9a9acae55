import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { Took } from './byte-stream.ts';
import { connectTcp } from './connect-tcp.ts';
import { createTcpServer } from './listen-tcp.ts';
import { chooseTcpBackend } from './tcp-self-test.ts';
import type { TcpStream } from './tcp-stream.ts';
import { Recorder } from './testing-recorder.ts';

async function listen(accept: (stream: TcpStream) => void): Promise<{ server: Server; port: number }> {
  const server = createTcpServer(accept);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

function open(port: number): Promise<TcpStream> {
  return new Promise((resolve, reject) => {
    connectTcp({ host: '127.0.0.1', port, timeoutMs: 2000 }, (error, stream) =>
      error === null ? resolve(stream!) : reject(error),
    );
  });
}

describe('tcp stream', () => {
  let server: Server;
  let port = 0;
  const accepted: TcpStream[] = [];
  const waiters: ((stream: TcpStream) => void)[] = [];
  before(async () => {
    const { name, reason } = await chooseTcpBackend();
    assert.equal(name, process.env.AMBIENT_DOCUMENTED_IO === '1' ? 'socket' : 'raw', reason);
    ({ server, port } = await listen((stream) => {
      const waiter = waiters.shift();
      if (waiter === undefined) accepted.push(stream);
      else waiter(stream);
    }));
  });
  after(() => server.close());

  async function pair(): Promise<{ a: TcpStream; b: TcpStream; ra: Recorder; rb: Recorder }> {
    const b = new Promise<TcpStream>((resolve) => waiters.push(resolve));
    const left = await open(port);
    const right = await b;
    const ra = new Recorder();
    const rb = new Recorder();
    left.start(ra);
    right.start(rb);
    return { a: left, b: right, ra, rb };
  }

  it('carries bytes both ways and half-closes either side first', async () => {
    for (const first of ['a', 'b'] as const) {
      const p = await pair();
      const [x, y, rx, ry] = first === 'a' ? [p.a, p.b, p.ra, p.rb] : [p.b, p.a, p.rb, p.ra];
      x.write(Buffer.from('question'));
      x.end();
      await ry.until((r) => r.ended);
      assert.equal(ry.text, 'question');
      assert.equal(ry.closed, null, 'the other direction stays open');
      y.write(Buffer.from('answer'));
      y.end();
      await Promise.all([rx.until((r) => r.closed !== null), ry.until((r) => r.closed !== null)]);
      assert.equal(rx.text, 'answer');
      assert.equal(rx.ended, true);
      assert.deepEqual(
        [rx.closed, ry.closed],
        [
          { error: null, wasReset: false },
          { error: null, wasReset: false },
        ],
      );
    }
  });

  it('shows a reset as a reset', async () => {
    const { a, ra, rb } = await pair();
    a.reset();
    a.reset();
    await Promise.all([ra.until((r) => r.closed !== null), rb.until((r) => r.closed !== null)]);
    assert.deepEqual(ra.closed, { error: null, wasReset: false });
    assert.equal(rb.closed!.wasReset, true);
    assert.ok(isMeshError(rb.closed!.error) && rb.closed!.error.code === 'PEER_RESET');
  });

  it('resets a half-closed connection, which the peer notices when it writes at the latest', async () => {
    for (const atOnce of [true, false]) {
      const { a, b, ra, rb } = await pair();
      a.end();
      if (!atOnce) await rb.until((r) => r.ended);
      a.reset();
      await ra.until((r) => r.closed !== null);
      const timer = setInterval(() => b.write(Buffer.from('more')), 5);
      await rb.until((r) => r.closed !== null);
      clearInterval(timer);
      assert.equal(rb.closed!.wasReset, true);
    }
  });

  it('pauses the writer at the high-water mark, loses nothing, and drains', async () => {
    const { a, b, ra, rb } = await pair();
    b.pause();
    const block = Buffer.alloc(60_000);
    const sent = createHash('md5');
    let total = 0;
    let took: number = Took.All;
    while ((took & Took.Pause) === 0 || total < 2_000_000) {
      for (let i = 0; i < block.length; i += 997) block[i] = total + i;
      took = a.write(block);
      assert.equal(took & Took.Retained, 0);
      sent.update(block);
      total += block.length;
      if (took & Took.Pause && total >= 2_000_000) break;
    }
    assert.ok(a.bufferedBytes > 0);
    b.resume();
    await ra.until((r) => r.drains > 0);
    assert.equal(a.bufferedBytes, 0);
    a.end();
    await rb.until((r) => r.ended);
    assert.equal(rb.bytes, total);
    assert.equal(createHash('md5').update(Buffer.concat(rb.chunks)).digest('hex'), sent.digest('hex'));
    b.end();
    await ra.until((r) => r.closed !== null);
  });

  it('stops reading when the handler says Pause', async () => {
    const { a, b, rb } = await pair();
    rb.took = Took.Pause;
    a.write(Buffer.alloc(3_000_000, 1));
    await rb.until((r) => r.bytes > 0);
    const seen = rb.bytes;
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.equal(rb.bytes, seen);
    rb.took = Took.All;
    b.resume();
    await rb.until((r) => r.bytes === 3_000_000);
    a.destroy();
    b.destroy();
    await rb.until((r) => r.closed !== null);
  });

  it('destroys a stream whose handler keeps shared memory', async () => {
    const { b, ra } = await pair();
    ra.took = Took.Retained;
    b.write(Buffer.from('x'));
    await ra.until((r) => r.closed !== null);
    assert.ok(isMeshError(ra.closed!.error) && ra.closed!.error.code === 'INTERNAL');
    b.destroy();
  });

  it('reports the close to a handler that is attached after it', async () => {
    const raw = connect(port, '127.0.0.1');
    const stream = await new Promise<TcpStream>((resolve) => waiters.push(resolve));
    raw.destroy();
    stream.destroy();
    await once(raw, 'close');
    const recorder = new Recorder();
    stream.start(recorder);
    await recorder.until((r) => r.closed !== null);
  });

  it('gives fresh memory to a stream that owns its memory and whose handler keeps chunks', async () => {
    const next = new Promise<TcpStream>((resolve) => waiters.push(resolve));
    const client = await new Promise<TcpStream>((resolve) =>
      connectTcp({ host: '127.0.0.1', port, timeoutMs: 2000, memory: 'own' }, (_error, stream) => resolve(stream!)),
    );
    const peer = await next;
    const kept: Buffer[] = [];
    const recorder = new Recorder();
    recorder.onData = (chunk) => {
      kept.push(chunk);
      recorder.bytes += chunk.length;
      return Took.Retained;
    };
    let ended = false;
    recorder.onEnd = () => {
      ended = true;
    };
    client.start(recorder);
    peer.start(new Recorder());
    const sent = Buffer.allocUnsafe(1_000_000);
    for (let i = 0; i < sent.length; i++) sent[i] = (i * 7) >> 3;
    peer.write(sent);
    peer.end();
    client.end();
    await new Promise<void>((resolve) => {
      recorder.onClose = () => resolve();
    });
    assert.ok(ended);
    assert.ok(Buffer.concat(kept).equals(sent));
  });

  it('resets a connection that is given up when it has just come about', async () => {
    const strict = createServer();
    strict.listen(0, '127.0.0.1');
    await once(strict, 'listening');
    const accepted = once(strict, 'connection');
    const to = { host: '127.0.0.1', port: (strict.address() as AddressInfo).port, timeoutMs: 5_000 };
    // Over loopback the kernel has connected before the call returns; who called hears of it later.
    connectTcp(to, () => assert.fail('was cancelled'))();
    const [socket] = (await accepted) as [Socket];
    strict.close();
    const end = new Promise<string>((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('end', () => resolve('an end in good order'));
    });
    socket.resume();
    assert.equal(await end, 'ECONNRESET');
  });

  it('answers CONNECT_FAILED where nobody listens, and nothing after a cancel', async () => {
    const spare = await listen(() => undefined);
    spare.server.close();
    await once(spare.server, 'close');
    const error = await open(spare.port).then(
      () => null,
      (failure: unknown) => failure,
    );
    assert.ok(isMeshError(error) && error.code === 'CONNECT_FAILED');
    const cancel = connectTcp({ host: '127.0.0.1', port: spare.port, timeoutMs: 50 }, () =>
      assert.fail('was cancelled'),
    );
    cancel();
    await new Promise((resolve) => setTimeout(resolve, 60));
  });
});
