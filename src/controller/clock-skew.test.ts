// Clocks that differ by minutes: the controller's on one side, and on the other those of node proxies, which are this
// machine's, so that TLS is judged by them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import type { IssuedCertificate } from '../identity/certificate-manager.ts';
import { cart, certificates, discoveryClient, type Fixture, setUp, token, web } from './testing-controller.ts';

const timeout = { timeout: 60_000 };
const minuteMs = 60_000;

/** A clock that is `aheadMs` before the machine's. */
const clockAhead = (aheadMs: number): Clock => ({ ...systemClock, now: () => Date.now() + aheadMs });

async function certificateOf(
  context: TestContext,
  fixture: Fixture,
  identity: string,
  bearer: string,
): Promise<IssuedCertificate> {
  const manager = certificates(context, fixture, bearer);
  const failed: string[] = [];
  manager.on('failed', ({ reason }) => failed.push(reason));
  manager.want(identity, 'connection');
  const [issued] = (await once(manager, 'certificate')) as [IssuedCertificate];
  assert.deepEqual(failed, []);
  return issued;
}

/** Both ends verify each other; resolves with the name that the server saw. */
async function shakeHands(context: TestContext, client: IssuedCertificate, server: IssuedCertificate): Promise<string> {
  const side = ({ keyPem, chainPem, rootsPem }: IssuedCertificate) => ({
    key: keyPem,
    cert: chainPem.join(''),
    ca: [...rootsPem],
  });
  const listener = tls.createServer({ ...side(server), requestCert: true, rejectUnauthorized: true });
  context.after(() => listener.close());
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const accepted = once(listener, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const refused = once(listener, 'tlsClientError').then(([error]) => Promise.reject(error));
  refused.catch(() => undefined);
  const socket = tls.connect({ ...side(client), port, host: '127.0.0.1', checkServerIdentity: () => undefined });
  const [[peer]] = await Promise.all([Promise.race([accepted, refused]), once(socket, 'secureConnect')]);
  const name = peer.getPeerX509Certificate()?.subjectAltName ?? '';
  socket.destroy();
  peer.destroy();
  return name;
}

for (const aheadMs of [4 * minuteMs, -4 * minuteMs]) {
  test(
    `a controller whose clock is ${aheadMs / minuteMs} min ahead: its proxies get the mesh, and each other`,
    timeout,
    async (context) => {
      const fixture = await setUp(context, {}, undefined, clockAhead(aheadMs));
      // The tokens' issuer goes by this machine's clock, and says from when on they hold.
      const nowS = Math.floor(Date.now() / 1000);
      const bearer = (pod: string, node: string): string => token(pod, node, { iat: nowS, nbf: nowS });
      const { client, synced, workloads } = discoveryClient(context, fixture);
      client.start();
      await synced;
      assert.ok(workloads.has('Kubernetes//Pod/shop/web'));
      const one = await certificateOf(context, fixture, web, bearer('proxy-a', 'a'));
      const other = await certificateOf(context, fixture, cart, bearer('proxy-b', 'b'));
      assert.ok(one.notBeforeMs <= Date.now(), "valid by the proxy's clock");
      assert.equal(await shakeHands(context, one, other), `URI:${web}`);
      assert.equal(await shakeHands(context, other, one), `URI:${cart}`);
    },
  );
}
