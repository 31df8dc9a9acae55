// Certificates that were revoked, over real TLS on loopback: the peer ends what runs on them and takes nothing new.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { causedBy, type MeshError } from '../base/errors.ts';
import { Recorder } from '../io/testing-recorder.ts';
import { RevocationList } from '../model/revocation.ts';
import { createTunnelPool, type TunnelPoolOptions } from './pool.ts';
import { listenTunnels, requestTo, TestAuthority, type TestServer } from './testing-mesh.ts';
import type { IncomingTunnel, TunnelCredentials, TunnelOpened, TunnelPool, TunnelRequest } from './types.ts';

const authority = new TestAuthority();
const own = { client: authority.credentials('client'), server: authority.credentials('server') };
const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

const judges = { client: 'server', server: 'client' } as const;
/** Certificates of `own` begin an hour ago. */
const minuteMs = 60_000;

class Scene {
  readonly revocations = new RevocationList();
  /** What the server told of handshakes that failed. */
  readonly errors: MeshError[] = [];
  readonly pool: TunnelPool;
  readonly #judge: 'client' | 'server';

  constructor(judge: 'client' | 'server') {
    this.#judge = judge;
    const options: TunnelPoolOptions = judge === 'client' ? { revocations: this.revocations } : {};
    this.pool = createTunnelPool(options);
    cleanUps.push(() => this.pool.close());
  }

  async listen(credentials: TunnelCredentials): Promise<TestServer> {
    const server = await listenTunnels(credentials, (tunnel: IncomingTunnel) => void tunnel.accept(''), {
      ...(this.#judge === 'server' && { revocations: this.revocations }),
      onHandshakeError: (error) => this.errors.push(error),
    });
    cleanUps.push(() => server.close());
    return server;
  }

  open(request: TunnelRequest): Promise<TunnelOpened> {
    return new Promise((resolve, reject) => {
      this.pool.open(request, (error, opened) => (error === null ? resolve(opened!) : reject(error)));
    });
  }

  /** Revokes what `identity` was issued until half an hour ago. */
  revoke(identity: string, server: TestServer): void {
    const identities = [{ identity, issuedBeforeMs: Date.now() - 30 * minuteMs }];
    this.revocations.apply({
      revocations: [{ namespace: 'ambient-system', name: 'stolen', serials: [], identities }],
    });
    this.pool.recheck();
    server.tunnels.recheck();
  }
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('revoked certificates', () => {
  for (const side of ['client', 'server'] as const) {
    const judge = judges[side];
    it(`a ${side} whose certificate is revoked is cut off at once, until it has another`, async () => {
      const scene = new Scene(judge);
      const server = await scene.listen(own.server);
      const request = requestTo(server.port, own.client, own.server.identity);
      const { stream } = await scene.open(request);
      const recorder = new Recorder();
      stream.start(recorder);

      scene.revoke(own[side].identity, server);
      await recorder.until(({ closed }) => closed !== null);
      assert.equal(recorder.ended, false, 'no end in good order');
      assert.equal(causedBy(recorder.closed?.error, 'CERTIFICATE_REVOKED'), judge === 'client');
      await eventually(() => server.tunnels.stats().sessions + scene.pool.stats().sessions === 0);

      const code = judge === 'client' ? 'CERTIFICATE_REVOKED' : 'TLS_FAILED';
      await assert.rejects(scene.open(request), { code });
      if (judge === 'server') {
        await eventually(() => scene.errors.length > 0);
        assert.equal(scene.errors[0]!.flag, 'CERT_REVOKED');
        assert.match(scene.errors[0]!.message, / was revoked by ambient-system\/stolen$/);
      }

      const renewed = authority.credentials(side, { from: -minuteMs, generation: 2 });
      const next = side === 'client' ? server : await scene.listen(renewed);
      const credentials = side === 'client' ? renewed : own.client;
      await scene.open(requestTo(next.port, credentials, own.server.identity));
    });
  }

  it('sessions of others go on', async () => {
    const scene = new Scene('server');
    const server = await scene.listen(own.server);
    const other = authority.credentials('other');
    await scene.open(requestTo(server.port, other, own.server.identity));
    await scene.open(requestTo(server.port, own.client, own.server.identity));
    scene.revoke(own.client.identity, server);
    await eventually(() => scene.pool.stats().sessions === 1);
    await scene.open(requestTo(server.port, other, own.server.identity));
    assert.equal(scene.pool.stats().sessionsOpened, 2);
  });
});
