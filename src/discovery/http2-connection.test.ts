// The connection under every call to the controller, against a server behind a wire that a test can cut or freeze.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { Http2Connection, type Http2ConnectionOptions } from './http2-connection.ts';

const timeout = { timeout: 10_000 };

async function serve(context: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-h2-'));
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock: systemClock });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = authority.issueServer(['127.0.0.1'], keys.publicKey, 3_600_000);
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const sessions: ServerHttp2Session[] = [];
  const server = createSecureServer({ key, cert: chainPem.join('') });
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const wires: Socket[] = [];
  const wire = createServer((near) => {
    const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
    for (const socket of [near, far]) {
      wires.push(socket);
      socket.on('error', () => {});
      socket.on('close', () => near.destroy() && far.destroy());
    }
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk) => near.write(chunk));
  });
  wire.listen(0, '127.0.0.1');
  await once(wire, 'listening');
  context.after(() => {
    for (const socket of wires) socket.destroy();
    for (const session of sessions) session.destroy();
    wire.close();
    server.close();
    rmSync(dir, { recursive: true });
  });
  const options: Http2ConnectionOptions = {
    url: `https://127.0.0.1:${(wire.address() as AddressInfo).port}`,
    rootsPem: authority.rootsPem().join(''),
    connectTimeoutMs: 3_000,
    pingIntervalMs: 50,
    pingTimeoutMs: 100,
  };
  return { options, wires, sessions };
}

/** A connection with one call on it, and how that call ends. */
async function call(context: TestContext, options: Http2ConnectionOptions) {
  const connection = await Http2Connection.open(options);
  context.after(() => connection.close());
  const stream = await connection.request('POST', '/a', {}, {});
  stream.resume();
  await once(stream, 'response');
  const ended = new Promise<string>((resolve) => {
    stream.on('error', (error) => resolve(error.message));
    stream.on('close', () => resolve('closed'));
  });
  return { connection, ended };
}

test('a peer that stops answering ends its calls, and nothing else', timeout, async (context) => {
  const { options, wires } = await serve(context);
  const { connection, ended } = await call(context, options);
  for (const socket of wires) socket.pause();
  assert.match(await ended, /no answer to a PING in 100 ms/);
  connection.close(); // as a client does in the middle of it
  assert.equal(connection.isOpen, false);
  await assert.rejects(
    connection.request('POST', '/a', {}, {}),
    (error) => error instanceof MeshError && error.code === 'NOT_REACHABLE',
  );
});

test('a connection that is reset ends its calls, and nothing else', timeout, async (context) => {
  const { options, wires } = await serve(context);
  const { connection, ended } = await call(context, options);
  for (const socket of wires) socket.resetAndDestroy();
  await ended;
  connection.close();
  assert.equal(connection.isOpen, false);
});

test('an idle peer that answers is kept', timeout, async (context) => {
  const { options, sessions } = await serve(context);
  const { connection } = await call(context, options);
  for (let pings = 0; pings < 3; pings++) await once(sessions[0] as ServerHttp2Session, 'ping');
  assert.equal(connection.isOpen, true);
});

test('a server that says goodbye gets no further call', timeout, async (context) => {
  const { options, sessions } = await serve(context);
  const { connection } = await call(context, options);
  sessions[0]?.goaway();
  while (connection.isOpen) await new Promise((resolve) => setImmediate(resolve));
});

test('nobody there, and somebody else there', timeout, async (context) => {
  const { options } = await serve(context);
  const refused = { ...options, url: 'https://127.0.0.1:1' };
  await assert.rejects(Http2Connection.open(refused), /ECONNREFUSED/);
  const stranger = { ...options, rootsPem: '' };
  await assert.rejects(
    Http2Connection.open(stranger),
    (error) => error instanceof MeshError && error.code === 'NOT_REACHABLE',
  );
});
