// The controller's own certificate, from its own authority: renewed at half of its life and put into the running
// server.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { ServerCredentials } from '../discovery/rpc-server.ts';
import type { CertificateAuthority } from '../identity/certificate-authority.ts';
import { keyholderView } from '../identity/certificate-view.ts';
import type { CertificatesView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ServerCertificateOptions {
  readonly authority: CertificateAuthority;
  /** Names and addresses that callers know the server by. */
  readonly names: readonly string[];
  /** Which server it is, for people. */
  readonly server: CertificatesView['servers'][number]['server'];
  /**
   * The longest life of a certificate of the mesh: what the issuer before a rotation signed is replaced before its
   * roots go.
   */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

const lifeMaxMs = 24 * 3_600_000;
const retryMs = 60_000;

/** Keeps one server certificate fresh, from `start` to `close`. */
export class ServerCertificate {
  readonly #options: ServerCertificateOptions;
  #cancel: (() => void) | null = null;
  #leafPem: string | null = null;

  constructor(options: ServerCertificateOptions) {
    this.#options = options;
  }

  /**
   * Issues the first certificate and renews it from then on, handing each to `use`. Throws CA_REFUSED when the first
   * fails.
   */
  start(use: (credentials: ServerCredentials) => void): void {
    use(this.#issue(use));
  }

  /** What is shown now; nothing before `start`. */
  views(): CertificatesView['servers'] {
    if (this.#leafPem === null) return [];
    return [{ server: this.#options.server, ...keyholderView(new X509Certificate(this.#leafPem)) }];
  }

  close(): void {
    this.#cancel?.();
  }

  #issue(use: (credentials: ServerCredentials) => void): ServerCredentials {
    const { authority, names, ttlMs, clock } = this.#options;
    const lifeMs = Math.min(ttlMs, lifeMaxMs);
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { chainPem, notAfterMs } = authority.issueServer(names, keys.publicKey, lifeMs);
    this.#leafPem = chainPem[0] ?? null;
    this.#renewAfter((notAfterMs - clock.now()) / 2, use);
    return { keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), chainPem };
  }

  #renewAfter(delayMs: number, use: (credentials: ServerCredentials) => void): void {
    const { clock, log, server } = this.#options;
    this.#cancel = clock.after(delayMs, () => {
      try {
        use(this.#issue(use));
        log.info({ server }, 'renewed the certificate of a server');
      } catch (error) {
        log.error({ server, reason: messageOf(error) }, 'cannot renew the certificate of a server');
        this.#renewAfter(retryMs, use);
      }
    });
  }
}
