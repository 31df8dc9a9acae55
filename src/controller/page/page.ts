// The live page as a part of the controller: its port, its certificate where it has one, and what it tells from.
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/errors.ts';
import type { ControllerConfig } from '../../config/controller.ts';
import type { ObserveServer } from '../../discovery/observe-server.ts';
import type { CertificateAuthority } from '../../identity/certificate-authority.ts';
import type { MeshSource } from '../../kube/mesh-source.ts';
import type { MeshCompiler } from '../../model/compiler.ts';
import type { Resource } from '../../model/resources.ts';
import type { CertificatesView, StatusView } from '../../model/views.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { SimpleResponse, TlsCredentials } from '../../telemetry/metrics-server.ts';
import { FileCertificate } from '../file-certificate.ts';
import type { ReplicaLinks } from '../replica-links.ts';
import { ServerCertificate } from '../server-certificate.ts';
import { MeshWatch } from './mesh-watch.ts';
import { PageServer } from './page-server.ts';
import { Replicas } from './replicas.ts';

export interface PageOptions {
  readonly config: Pick<ControllerConfig, 'page' | 'ports' | 'serverNames' | 'certificateTtlMs'>;
  readonly authority: CertificateAuthority;
  readonly observed: Pick<ObserveServer, 'proxies' | 'replicas'>;
  /** Null where no other replica is asked. */
  readonly replicas: Pick<ReplicaLinks, 'own' | 'others'> | null;
  readonly compiler: Pick<MeshCompiler, 'mesh' | 'peerAuthenticationOf'>;
  readonly source: Pick<MeshSource, 'followAside'>;
  readonly controller: { status(): StatusView; certificates(): CertificatesView };
  readonly clock: Clock;
  readonly log: Logger;
}

/** Serves on every replica, from `start` to `close`. */
export class Page {
  readonly #options: PageOptions;
  readonly #certificate: ServerCertificate | FileCertificate | null;
  readonly #watch: MeshWatch;
  #server: PageServer | null = null;

  constructor(options: PageOptions) {
    this.#options = options;
    const { compiler, controller, source, clock } = options;
    const replicas = new Replicas(options);
    const status = () => controller.status();
    const certificates = () => controller.certificates();
    this.#watch = new MeshWatch({ replicas, compiler, status, certificates, source, clock });
    this.#certificate = certificateOf(options);
  }

  /**
   * Listens; returns the bound port. Throws NOT_REACHABLE when it cannot be had, INPUT_UNREADABLE and CA_REFUSED for
   * its certificate.
   */
  start(): Promise<number> {
    const { config } = this.#options;
    const { page, ports } = config;
    const names = [...page.names, ...config.serverNames];
    const credentials = this.#certificate === null ? null : this.#follow(this.#certificate);
    this.#server = new PageServer({
      ...{ page: { ...page, names }, port: ports.page, credentials },
      watched: this.#watch,
      nowMs: () => this.#options.clock.now(),
    });
    return this.#server.start();
  }

  /**
   * What the page answers to `GET target`, past its port, its certificate and its password: for who may use the admin
   * port, and so may see all of it and more. Rejects with NOT_REACHABLE before `start`.
   */
  async answer(target: string, signal: AbortSignal): Promise<SimpleResponse> {
    if (this.#server !== null) return this.#server.answer(target, signal);
    throw new MeshError('NOT_REACHABLE', { what: 'the live page', reason: 'the controller starts', hint: 'try again' });
  }

  /** The mesh has been compiled with these resources and without those. */
  changed(upserts: readonly Resource[], gone: Parameters<MeshWatch['changed']>[1]): void {
    this.#watch.changed(upserts, gone);
  }

  /** The certificate that it shows. */
  views(): CertificatesView['servers'] {
    return this.#certificate?.views() ?? [];
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#certificate?.close();
    this.#watch.close();
    await this.#server?.close();
  }

  #follow(certificate: ServerCertificate | FileCertificate): TlsCredentials {
    let first: TlsCredentials | null = null;
    certificate.start((credentials) => {
      first ??= credentials;
      this.#server?.setCredentials(credentials);
    });
    if (first === null) throw new MeshError('INTERNAL', { reason: 'no certificate for the page' });
    return first;
  }
}

function certificateOf({ config, authority, clock, log }: PageOptions): ServerCertificate | FileCertificate | null {
  const { tls, certificateFile, keyFile } = config.page;
  const own = { server: 'page', clock, log } as const;
  if (tls === 'files') return new FileCertificate({ ...own, certificateFile, keyFile });
  const names = [...new Set([...config.serverNames, ...config.page.names])];
  return tls === 'own' ? new ServerCertificate({ ...own, authority, names, ttlMs: config.certificateTtlMs }) : null;
}
