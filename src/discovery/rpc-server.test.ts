// Connections to the controller whose other end has fallen silent, as a stopped process or a node without power does.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { systemClock } from '../base/clock.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { RpcServer } from './rpc-server.ts';

const timeout = { timeout: 20_000 };
/** The client's preface and an empty SETTINGS frame. */
const beginning = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

async function serve(context: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-rpc-'));
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock: systemClock });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = authority.issueServer(['127.0.0.1'], keys.publicKey, 3_600_000);
  const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const pings = { intervalMs: 20, timeoutMs: 200 };
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    credentials: { keyPem, chainPem },
    routes: () => undefined,
    pings,
  });
  const { port } = await server.start();
  context.after(async () => {
    await server.close(50);
    rmSync(dir, { recursive: true, force: true });
  });
  return { port, ca: authority.rootsPem().join('') };
}

test('a connection that answers no PING is ended', timeout, async (context) => {
  const { port, ca } = await serve(context);
  const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.write(beginning);
  socket.resume();
  await once(socket, 'close');
});

test('one that answers stays', timeout, async (context) => {
  const { port, ca } = await serve(context);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca });
  for (let pings = 0; pings < 5; pings++) await once(session, 'ping');
  assert.equal(session.closed, false);
  session.destroy();
});
