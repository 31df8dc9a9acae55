// Discovery and certificates for a generated mesh: the controller's own parts without its sources, so that what is
// measured is the node proxy.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { systemClock } from '../src/base/clock.ts';
import { DiscoveryServer } from '../src/discovery/delta-server.ts';
import {
  type IstioCertificateRequest,
  IstioCertificateResponseSchema,
  IstioCertificateService,
} from '../src/discovery/generated/certificate_pb.ts';
import { RpcServer } from '../src/discovery/rpc-server.ts';
import { CertificateAuthority } from '../src/identity/certificate-authority.ts';
import { parseCsr } from '../src/identity/csr.ts';
import type { MeshUpdate } from '../src/model/types.ts';

const host = '127.0.0.1';
const lifetimeMs = 3_600_000;

export interface ScaleController {
  readonly url: string;
  readonly rootsFile: string;
  readonly tokenFile: string;
  readonly update: (update: MeshUpdate) => void;
  /** Resolves when a proxy has acknowledged the next response. */
  readonly answered: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Serves `mesh` on a free loopback port until it is closed; files go to `dir`. */
export async function startScaleController(dir: string, mesh: MeshUpdate): Promise<ScaleController> {
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock: systemClock });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = authority.issueServer([host], keys.publicKey, lifetimeMs);
  const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const rootsFile = path.join(dir, 'roots.pem');
  writeFileSync(rootsFile, authority.rootsPem().join(''));
  const tokenFile = path.join(dir, 'token');
  writeFileSync(tokenFile, 'bench\n');
  let tell: (() => void)[] = [];
  const discovery = new DiscoveryServer({
    clock: systemClock,
    authenticate: () => (claimed) => ({ ...claimed, kind: 'node' }),
    observer: {
      pushed: () => {},
      answered: () => {
        for (const resolve of tell.splice(0)) resolve();
      },
    },
    isExpected: () => true,
  });
  discovery.update(mesh);
  const sign = ({ csr, metadata }: IstioCertificateRequest) => {
    const identity = metadata?.ImpersonatedIdentity;
    if (typeof identity !== 'string') throw new ConnectError('no identity', Code.InvalidArgument);
    const issued = authority.issueWorkload(identity, parseCsr(csr).spki, lifetimeMs);
    return create(IstioCertificateResponseSchema, { certChain: [...issued.chainPem, authority.rootsPem().join('')] });
  };
  const routes = (router: ConnectRouter): void => {
    discovery.routes(router);
    router.service(IstioCertificateService, { createCertificate: sign });
  };
  const server = new RpcServer({ host, port: 0, credentials: { keyPem, chainPem }, routes });
  const { port } = await server.start();
  return {
    url: `https://${host}:${port}`,
    rootsFile,
    tokenFile,
    update: (update) => discovery.update(update),
    answered: () => new Promise((resolve) => tell.push(resolve)),
    close: async () => {
      tell = [];
      discovery.close();
      await server.close(0);
    },
  };
}
