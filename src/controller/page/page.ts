// The live page as a part of the controller: its port, its certificate where it has one, and what it tells from.
import { readFileSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { ControllerConfig } from '../../config/controller.ts';
import type { ObserveServer } from '../../discovery/observe-server.ts';
import type { CertificateAuthority } from '../../identity/certificate-authority.ts';
import type { MeshCompiler } from '../../model/compiler.ts';
import type { Resource } from '../../model/resources.ts';
import type { CertificatesView, StatusView } from '../../model/views.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { SimpleResponse, TlsCredentials } from '../../telemetry/metrics-server.ts';
import { ServerCertificate } from '../server-certificate.ts';
import { MeshWatch } from './mesh-watch.ts';
import { PageServer } from './page-server.ts';

export interface PageOptions {
  readonly config: Pick<ControllerConfig, 'page' | 'ports' | 'serverNames' | 'certificateTtlMs'>;
  readonly authority: CertificateAuthority;
  readonly observed: Pick<ObserveServer, 'proxies'>;
  readonly compiler: Pick<MeshCompiler, 'mesh' | 'peerAuthenticationOf'>;
  readonly controller: { status(): StatusView; certificates(): CertificatesView };
  readonly clock: Clock;
  readonly log: Logger;
}

/** Serves on every replica, from `start` to `close`. */
export class Page {
  readonly #options: PageOptions;
  readonly #certificate: ServerCertificate | null;
  readonly #watch: MeshWatch;
  #server: PageServer | null = null;

  constructor(options: PageOptions) {
    this.#options = options;
    const { authority, config, clock, log } = options;
    const { observed, compiler, controller } = options;
    const status = () => controller.status();
    const certificates = () => controller.certificates();
    this.#watch = new MeshWatch({ observed, compiler, status, certificates, clock });
    const names = [...new Set([...config.serverNames, ...config.page.names])];
    const own = { authority, names, server: 'page', ttlMs: config.certificateTtlMs, clock, log } as const;
    this.#certificate = config.page.tls === 'own' ? new ServerCertificate(own) : null;
  }

  /**
   * Listens; returns the bound port. Throws NOT_REACHABLE when it cannot be had, INPUT_UNREADABLE and CA_REFUSED for
   * its certificate.
   */
  start(): Promise<number> {
    const { config } = this.#options;
    const { page, ports } = config;
    const names = [...page.names, ...config.serverNames];
    const credentials = this.#certificate === null ? filesOf(page) : this.#own(this.#certificate);
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

  #own(certificate: ServerCertificate): TlsCredentials {
    let first: TlsCredentials | null = null;
    certificate.start((credentials) => {
      first ??= credentials;
      this.#server?.setCredentials(credentials);
    });
    if (first === null) throw new MeshError('INTERNAL', { reason: 'no certificate for the page' });
    return first;
  }
}

function filesOf({ tls, certificateFile, keyFile }: ControllerConfig['page']): TlsCredentials | null {
  return tls === 'files' ? { keyPem: read(keyFile), chainPem: [read(certificateFile)] } : null;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
}
