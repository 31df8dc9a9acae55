// Pool against server over real TLS on loopback.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, before, describe, it } from 'node:test';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { isMeshError, type MeshError } from '../base/errors.ts';
import { ErrorCode } from '../h2/constants.ts';
import { H2Session } from '../h2/session.ts';
import { type ByteStream, Took } from '../io/byte-stream.ts';
import { serveTls } from '../io/serve-tls.ts';
import { chooseTcpBackend } from '../io/tcp-self-test.ts';
import { Recorder } from '../io/testing-recorder.ts';
import { createTunnelPool, type TunnelPoolOptions } from './pool.ts';
import type { TunnelServerOptions } from './server.ts';
import { listenTunnels, requestTo, TestAuthority, type TestServer } from './testing-mesh.ts';
import type { IncomingTunnel, TunnelCredentials, TunnelOpened, TunnelPool, TunnelRequest } from './types.ts';

const authority = new TestAuthority();
const client = authority.credentials('client');
const server = authority.credentials('server');
const ignore = (): void => undefined;
const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

function newPool(options: TunnelPoolOptions = {}): TunnelPool {
  const pool = createTunnelPool(options);
  cleanUps.push(() => pool.close());
  return pool;
}

async function listen(
  onTunnel: (tunnel: IncomingTunnel) => void,
  options?: TunnelServerOptions,
  credentials: TunnelCredentials = server,
): Promise<TestServer> {
  const started = await listenTunnels(credentials, onTunnel, options);
  cleanUps.push(() => started.close());
  return started;
}

function open(pool: TunnelPool, request: TunnelRequest): Promise<TunnelOpened> {
  return new Promise((resolve, reject) => {
    let calls = 0;
    pool.open(request, (error, opened) => {
      assert.equal(++calls, 1, 'one call back');
      if (error === null) resolve(opened!);
      else reject(error);
    });
  });
}

async function refused(promise: Promise<unknown>): Promise<MeshError> {
  const error = await promise.then(
    () => assert.fail('was not refused'),
    (failure: unknown) => failure,
  );
  assert.ok(isMeshError(error), String(error));
  return error;
}

function echo(tunnel: IncomingTunnel): void {
  const stream = tunnel.accept('service.name=server');
  stream.start({
    onData: (chunk) => stream.write(chunk),
    onEnd: () => stream.end(),
    onDrain: () => stream.resume(),
    onClose: ignore,
  });
}

async function roundTrip(stream: ByteStream, data: Buffer): Promise<void> {
  const recorder = new Recorder();
  let at = 0;
  const push = (): void => {
    while (at < data.length) {
      const took = stream.write(data.subarray(at, at + 60_000));
      at += 60_000;
      if (took & Took.Pause) return;
    }
    stream.end();
  };
  recorder.onDrain = push;
  stream.start(recorder);
  push();
  await recorder.until((r) => r.closed !== null);
  assert.equal(recorder.md5, createHash('md5').update(data).digest('hex'));
  assert.deepEqual([recorder.ended, recorder.closed], [true, { error: null, wasReset: false }]);
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await tick();
}

describe('tunnel', () => {
  before(() => chooseTcpBackend());

  it('carries bytes both ways and says who is who', async () => {
    let incoming: IncomingTunnel | undefined;
    const at = await listen((tunnel) => {
      incoming = tunnel;
      echo(tunnel);
    });
    const pool = newPool();
    const opened = await open(pool, requestTo(at.port, client, server.identity));
    assert.equal(opened.peerIdentity, server.identity);
    assert.equal(opened.baggage, 'service.name=server');
    assert.equal(opened.reusedSession, false);
    assert.deepEqual(
      [
        incoming!.peerIdentity,
        incoming!.authority,
        incoming!.baggage,
        incoming!.forwarded,
        incoming!.remoteAddress,
        incoming!.localAddress,
      ],
      [client.identity, '10.0.0.1:8080', 'service.name=client', 'for="10.0.0.9:1234"', '127.0.0.1', '127.0.0.1'],
    );
    await roundTrip(opened.stream, randomBytes(5_000_000));
    assert.deepEqual(pool.stats(), { sessions: 1, streams: 0, sessionsOpened: 1, streamsOpened: 1 });
  });

  it('shares one handshake among simultaneous first connects, and puts streams back', async () => {
    const at = await listen(echo);
    const pool = newPool({ streamsPerSession: 20 });
    const request = requestTo(at.port, client, server.identity);
    const many = await Promise.all(Array.from({ length: 20 }, () => open(pool, request)));
    assert.equal(at.connections(), 1);
    const one = await open(pool, request);
    assert.equal(at.connections(), 2, 'the first is full');
    await Promise.all([...many, one].map(({ stream }) => roundTrip(stream, Buffer.from('hello'))));
    const again = await Promise.all(Array.from({ length: 30 }, () => open(pool, request)));
    assert.equal(at.connections(), 2);
    assert.ok(again.every(({ reusedSession }) => reusedSession));
    for (const { stream } of again) stream.destroy();
    await eventually(() => at.tunnels.stats().streams === 0);
  });

  it('regards the streams that the peer allows', async () => {
    const at = await listen(echo, { streamsPerSession: 4 });
    const pool = newPool();
    const request = requestTo(at.port, client, server.identity);
    const opened = await Promise.all(Array.from({ length: 12 }, () => open(pool, request)));
    await Promise.all(opened.map(({ stream }) => roundTrip(stream, randomBytes(1000))));
  });

  it('keeps one session per peer address, and one per node where the peer serves its node', async () => {
    const other = authority.credentials('other');
    const [a, b, c] = [await listen(echo), await listen(echo), await listen(echo, {}, other)];
    const pool = newPool();
    await open(pool, requestTo(a.port, client, server.identity));
    await open(pool, requestTo(b.port, client, server.identity));
    assert.deepEqual([a.connections(), b.connections()], [1, 1]);
    const on = (port: number, node: string, accept: string = server.identity): TunnelRequest =>
      requestTo(port, client, accept, { node });
    await open(pool, on(a.port, 'n2'));
    await open(pool, on(b.port, 'n2'));
    assert.equal(b.connections(), 1, 'goes over the session to a, on the same node');
    await open(pool, on(b.port, 'n3'));
    await open(pool, on(c.port, 'n2', other.identity));
    assert.equal(c.connections(), 1, 'another identity has its own session');
    assert.equal(b.connections(), 1, 'the session to the very address serves, whatever the node');
  });

  it('refuses a server that is someone else, and a server of another authority', async () => {
    const at = await listen(echo);
    const pool = newPool();
    const wrong = await refused(open(pool, requestTo(at.port, client, 'spiffe://cluster.local/ns/default/sa/someone')));
    assert.equal(wrong.code, 'PEER_IDENTITY');
    assert.equal(wrong.details.actual, server.identity);
    const foreign = new TestAuthority();
    const elsewhere = await listen(echo, {}, foreign.credentials('server'));
    const error = await refused(open(pool, requestTo(elsewhere.port, client, server.identity)));
    assert.equal(error.code, 'TLS_FAILED');
    assert.equal(pool.stats().sessions, 0);
  });

  const foreign = new TestAuthority();
  const both = [authority.rootPem, foreign.rootPem];
  const bad: [string, TunnelCredentials, string][] = [
    ['of another authority', foreign.credentials('client', { roots: both }), 'TLS_FAILED'],
    ['of another trust domain', new TestAuthority('elsewhere').credentials('client'), 'TLS_FAILED'],
    ['out of date', authority.credentials('client', { from: -7_200_000, to: -3_600_000 }), 'TLS_FAILED'],
    ['not valid yet', authority.credentials('client', { from: 3_600_000, to: 7_200_000 }), 'TLS_FAILED'],
  ];
  for (const [what, credentials, expected] of bad) {
    it(`refuses a client certificate ${what}, before any stream`, async () => {
      const errors: MeshError[] = [];
      const at = await listen(() => assert.fail('no stream may come'), {
        onHandshakeError: (error) => errors.push(error),
      });
      const error = await refused(open(newPool(), requestTo(at.port, credentials, server.identity)));
      assert.equal(error.code, what.includes('trust domain') ? 'TLS_FAILED' : expected);
      await eventually(() => errors.length === 1);
      assert.equal(errors[0]!.code, 'TLS_FAILED');
    });
  }

  it('refuses a client of another trust domain that the roots vouch for', async () => {
    const elsewhere = new TestAuthority('elsewhere');
    const visitor = elsewhere.credentials('client', { roots: [authority.rootPem, elsewhere.rootPem] });
    const host = authority.credentials('server', { roots: [authority.rootPem, elsewhere.rootPem] });
    const errors: MeshError[] = [];
    const at = await listen(
      () => assert.fail('no stream may come'),
      { onHandshakeError: (error) => errors.push(error) },
      host,
    );
    const error = await refused(open(newPool(), requestTo(at.port, visitor, server.identity)));
    assert.equal(error.code, 'TLS_FAILED');
    assert.equal(errors[0]!.code, 'PEER_IDENTITY');
  });

  it('refuses a client without a certificate, with TLS 1.2, without h2', async () => {
    const errors: MeshError[] = [];
    const at = await listen(() => assert.fail('no stream may come'), {
      onHandshakeError: (error) => errors.push(error),
    });
    const cases = [
      { ALPNProtocols: ['h2'], rejectUnauthorized: false },
      { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2', rejectUnauthorized: false },
      { ALPNProtocols: ['http/1.1'], secureContext: client.secureContext, rejectUnauthorized: false },
      { secureContext: client.secureContext, rejectUnauthorized: false },
    ] as const;
    for (const [index, options] of cases.entries()) {
      const socket = tlsConnect({ host: '127.0.0.1', port: at.port, ...options } as unknown as ConnectionOptions);
      socket.on('error', ignore);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
      await eventually(() => errors.length === index + 1);
      assert.equal(errors[index]!.code, 'TLS_FAILED');
    }
    assert.equal(at.tunnels.stats().sessionsAccepted, 0);
  });

  for (const status of [400, 401, 503] as const) {
    it(`hands on ${status}`, async () => {
      const at = await listen((tunnel) => tunnel.reject(status));
      const pool = newPool();
      const error = await refused(open(pool, requestTo(at.port, client, server.identity)));
      assert.equal(error.code, 'TUNNEL_REJECTED');
      assert.equal(error.details.status, status);
      await eventually(() => pool.stats().streams === 0 && at.tunnels.stats().streams === 0);
      assert.equal(pool.stats().sessions, 1);
    });
  }

  it('says what did not answer: TCP, TLS, HTTP/2, CONNECT', { timeout: 5000 }, async () => {
    const pool = newPool();
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    cleanUps.push(() => silent.close());
    const sockets: Socket[] = [];
    silent.on('connection', (socket) => sockets.push(socket));
    cleanUps.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    const tls = await refused(
      open(pool, requestTo((silent.address() as AddressInfo).port, client, server.identity, { timeoutMs: 80 })),
    );
    assert.equal(tls.code, 'TLS_FAILED');
    const at = await listen(ignore);
    const answer = await refused(open(pool, requestTo(at.port, client, server.identity, { timeoutMs: 80 })));
    assert.equal(answer.code, 'CONNECT_TIMEOUT');
    // Documentation addresses are not routed anywhere: no SYN is answered, or none can be sent.
    const tcp = await refused(
      open(pool, requestTo(15008, client, server.identity, { host: '192.0.2.1', timeoutMs: 80 })),
    );
    assert.ok(tcp.code === 'TUNNEL_CONNECT_TIMEOUT' || tcp.code === 'CONNECT_FAILED', tcp.code);
    at.listener.close();
    const none = await refused(open(newPool(), requestTo(1, client, server.identity)));
    assert.equal(none.code, 'CONNECT_FAILED');
  });

  it('tells the server when an attempt is given up, and calls nobody back', async () => {
    let aborted = false;
    let arrived: IncomingTunnel | undefined;
    const at = await listen((tunnel) => {
      arrived = tunnel;
      tunnel.onAbort = () => {
        aborted = true;
      };
    });
    const pool = newPool();
    const cancel = pool.open(requestTo(at.port, client, server.identity), () => assert.fail('was given up'));
    await eventually(() => arrived !== undefined);
    cancel();
    await eventually(() => aborted);
    arrived!.accept('');
    const early = pool.open(requestTo(at.port, client, server.identity), () => assert.fail('was given up'));
    early();
  });

  it('carries a reset either way', async () => {
    const recorders: Recorder[] = [];
    const streams: ByteStream[] = [];
    const at = await listen((tunnel) => {
      const recorder = new Recorder();
      recorders.push(recorder);
      const stream = tunnel.accept('');
      streams.push(stream);
      stream.start(recorder);
    });
    const pool = newPool();
    const request = requestTo(at.port, client, server.identity);
    const first = await open(pool, request);
    first.stream.start(new Recorder());
    first.stream.reset();
    await recorders[0]!.until((r) => r.closed !== null);
    assert.equal(recorders[0]!.closed!.wasReset, true);
    const second = await open(pool, request);
    const mine = new Recorder();
    second.stream.start(mine);
    streams[1]!.reset();
    await mine.until((r) => r.closed !== null);
    assert.equal(mine.closed!.wasReset, true);
    assert.ok(isMeshError(mine.closed!.error) && mine.closed!.error.code === 'PEER_RESET');
  });

  it('bounds what a reader that stalls costs, and lets the others through', { timeout: 8000 }, async () => {
    const streamWindowBytes = 256 * 1024;
    const stalled: ByteStream[] = [];
    const at = await listen(
      (tunnel) => {
        if (tunnel.authority !== 'stall:1') return echo(tunnel);
        const stream = tunnel.accept('');
        stream.start({ onData: () => Took.Pause, onEnd: ignore, onDrain: ignore, onClose: ignore });
        stalled.push(stream);
      },
      { streamWindowBytes },
    );
    const pool = newPool();
    const request = requestTo(at.port, client, server.identity);
    const writers = await Promise.all(
      Array.from({ length: 10 }, () => open(pool, { ...request, authority: 'stall:1' })),
    );
    const block = Buffer.alloc(64_000, 1);
    for (const { stream } of writers) {
      const push = (): void => {
        while ((stream.write(block) & Took.Pause) === 0);
      };
      stream.start({ onData: () => Took.All, onEnd: ignore, onDrain: push, onClose: ignore });
      push();
    }
    const { stream } = await open(pool, request);
    await roundTrip(stream, randomBytes(3_000_000));
    for (const one of stalled) {
      const unread = (one as unknown as { unreadBytes: number }).unreadBytes;
      assert.ok(unread > 0 && unread + one.bytesRead <= streamWindowBytes, String(unread));
    }
    for (const { stream: writer } of writers) assert.ok(writer.bufferedBytes <= 64_000 * 2);
    for (const one of stalled) one.resume();
  });

  it('moves to a fresh session when the peer says GOAWAY, and finishes what runs', async () => {
    const at = await listen(echo);
    const pool = newPool();
    const request = requestTo(at.port, client, server.identity);
    const running = await open(pool, request);
    const drained = at.tunnels.drain(3000);
    const next = await listen(echo);
    const elsewhere = await open(pool, requestTo(next.port, client, server.identity));
    elsewhere.stream.destroy();
    await roundTrip(running.stream, randomBytes(100_000));
    await drained;
    await eventually(() => pool.stats().sessions === 1);
    assert.equal(at.tunnels.stats().sessions, 0);
  });

  it('tries once more on a fresh session when a stream is refused, and when a pooled session is found dead', async () => {
    let refusals = 1;
    const sessions: H2Session[] = [];
    const listener = createServer({ pauseOnConnect: true }, (socket) => {
      const { secureContext } = server;
      serveTls(socket, { secureContext, handshakeTimeoutMs: 1000, address: 'test' }, (_error, connected) => {
        const session = new H2Session({
          role: 'server',
          transport: connected!.stream,
          peer: 'test',
          events: {
            onStream: (stream) => {
              if (refusals-- > 0) stream.abort(ErrorCode.RefusedStream);
              else stream.respond([':status', '200'], false);
            },
            onReady: ignore,
            onCapacity: ignore,
            onRetired: ignore,
            onClose: ignore,
          },
        });
        sessions.push(session);
        session.start();
      });
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    cleanUps.push(() => listener.close());
    const pool = newPool();
    const request = requestTo((listener.address() as AddressInfo).port, client, server.identity);
    const opened = await open(pool, request);
    opened.stream.start(new Recorder());
    assert.equal(pool.stats().sessionsOpened, 2);
    assert.equal(opened.reusedSession, false);
    // The peer vanishes at the very moment in which a pooled session is used again.
    for (const session of sessions) session.destroy();
    const again = await open(pool, request);
    assert.equal(again.reusedSession, false);
    assert.equal(pool.stats().sessionsOpened, 3);
    again.stream.destroy();
    for (const session of sessions) session.destroy();
  });

  it('gives new streams to a renewed certificate, and lets old ones finish', async () => {
    const at = await listen(echo);
    const pool = newPool();
    const old = await open(pool, requestTo(at.port, client, server.identity));
    const renewed = authority.credentials('client', { generation: 2 });
    const fresh = await open(pool, requestTo(at.port, renewed, server.identity));
    assert.equal(fresh.reusedSession, false);
    assert.equal(at.connections(), 2);
    await roundTrip(old.stream, randomBytes(10_000));
    await eventually(() => pool.stats().sessions === 1);
    fresh.stream.destroy();
  });

  it('purges the sessions of a workload that has gone', async () => {
    const at = await listen(echo);
    const pool = newPool();
    const running = await open(pool, requestTo(at.port, client, server.identity));
    pool.purgeWorkload('another');
    await open(pool, requestTo(at.port, client, server.identity)).then(({ stream }) => stream.destroy());
    assert.equal(at.connections(), 1);
    pool.purgeWorkload('w1');
    await open(pool, requestTo(at.port, client, server.identity)).then(({ stream }) => stream.destroy());
    assert.equal(at.connections(), 2);
    await roundTrip(running.stream, randomBytes(1000));
  });

  it('releases idle sessions, and drains', async () => {
    const at = await listen(echo);
    const pool = newPool({ idleReleaseMs: 30 });
    const opened = await open(pool, requestTo(at.port, client, server.identity));
    await roundTrip(opened.stream, Buffer.from('x'));
    await eventually(() => pool.stats().sessions === 0);
    await eventually(() => at.tunnels.stats().sessions === 0);
    const running = await open(pool, requestTo(at.port, client, server.identity));
    const drained = pool.drain(2000);
    assert.equal((await refused(open(pool, requestTo(at.port, client, server.identity)))).code, 'DRAINED');
    await roundTrip(running.stream, randomBytes(10_000));
    await drained;
    assert.equal(pool.stats().sessions, 0);
  });

  it('limits its sessions, and handshakes at once', async () => {
    const at = await listen(echo);
    const pool = newPool({ sessionsLimit: 1 });
    await open(pool, requestTo(at.port, client, server.identity));
    const other = await listen(echo);
    assert.equal((await refused(open(pool, requestTo(other.port, client, server.identity)))).code, 'LIMIT_REACHED');
    const errors: MeshError[] = [];
    const busy = await listen(echo, { handshakesLimit: 0, onHandshakeError: (error) => errors.push(error) });
    await refused(open(newPool(), requestTo(busy.port, client, server.identity)));
    assert.equal(errors[0]!.code, 'LIMIT_REACHED');
  });
});
