// The live page as a part of the controller: its port, its certificate where it has one, and what it tells from.
import { readFileSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { ControllerConfig } from '../../config/controller.ts';
import type { CertificateAuthority } from '../../identity/certificate-authority.ts';
import type { CertificatesView } from '../../model/views.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { TlsCredentials } from '../../telemetry/metrics-server.ts';
import { ServerCertificate } from '../server-certificate.ts';
import { PageServer } from './page-server.ts';

export interface PageOptions {
  readonly config: Pick<ControllerConfig, 'page' | 'ports' | 'serverNames' | 'certificateTtlMs'>;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Serves on every replica, from `start` to `close`. */
export class Page {
  readonly #options: PageOptions;
  readonly #certificate: ServerCertificate | null;
  #server: PageServer | null = null;

  constructor(options: PageOptions) {
    this.#options = options;
    const { authority, config, clock, log } = options;
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
    this.#server = new PageServer({ page: { ...page, names }, port: ports.page, credentials });
    return this.#server.start();
  }

  /** What it shows. */
  views(): CertificatesView['servers'] {
    return this.#certificate?.views() ?? [];
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#certificate?.close();
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
