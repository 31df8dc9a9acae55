// The validating webhook as a part of the controller: its port, its certificate, and what it answers from.
import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import type { ControllerConfig } from '../config/controller.ts';
import type { ServerCredentials } from '../discovery/rpc-server.ts';
import type { CertificateAuthority } from '../identity/certificate-authority.ts';
import type { CertificatesView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';
import { answerReview, type ReviewOptions } from './admission-review.ts';
import { ServerCertificate } from './server-certificate.ts';
import { WebhookServer } from './webhook-server.ts';

export interface WebhookOptions extends ReviewOptions {
  readonly config: Pick<ControllerConfig, 'listenHost' | 'ports' | 'serverNames' | 'certificateTtlMs'>;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Serves on every replica, whoever leads, from `start` to `close`. */
export class Webhook {
  readonly #options: WebhookOptions;
  readonly #certificate: ServerCertificate;
  #server: WebhookServer | null = null;

  constructor(options: WebhookOptions) {
    const { authority, config, clock, log } = options;
    this.#options = options;
    const { serverNames: names, certificateTtlMs: ttlMs } = config;
    this.#certificate = new ServerCertificate({ authority, names, server: 'webhook', ttlMs, clock, log });
  }

  /** Listens; returns the bound port. Throws NOT_REACHABLE when it cannot be had, CA_REFUSED without a certificate. */
  start(): Promise<number> {
    const { config, log } = this.#options;
    let first: ServerCredentials | null = null;
    this.#certificate.start((credentials) => {
      first ??= credentials;
      this.#server?.setCredentials(credentials);
    });
    if (first === null) throw new MeshError('INTERNAL', { reason: 'no certificate for the webhook' });
    const answer = (review: unknown): object | null => answerReview(review, this.#options);
    const { listenHost: host, ports } = config;
    this.#server = new WebhookServer({ host, port: ports.webhook, credentials: first, answer, log });
    return this.#server.start();
  }

  /** What it shows. */
  views(): CertificatesView['servers'] {
    return this.#certificate.views();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#certificate.close();
    await this.#server?.close();
  }
}
