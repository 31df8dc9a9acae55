// The controller's own certificate, from its own authority: renewed at half of its life and put into the running
// server.
import { generateKeyPairSync } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { ServerCredentials } from '../discovery/rpc-server.ts';
import type { CertificateAuthority } from '../identity/certificate-authority.ts';
import type { Logger } from '../telemetry/logger.ts';

const lifeMs = 24 * 3_600_000;
const retryMs = 60_000;

/** Keeps one server certificate fresh, from `start` to `close`. */
export class ServerCertificate {
  readonly #authority: CertificateAuthority;
  readonly #names: readonly string[];
  readonly #clock: Clock;
  readonly #log: Logger;
  #cancel: (() => void) | null = null;

  constructor(authority: CertificateAuthority, names: readonly string[], clock: Clock, log: Logger) {
    this.#authority = authority;
    this.#names = names;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Issues the first certificate and renews it from then on, handing each to `use`. Throws CA_REFUSED when the first
   * fails.
   */
  start(use: (credentials: ServerCredentials) => void): void {
    use(this.#issue(use));
  }

  close(): void {
    this.#cancel?.();
  }

  #issue(use: (credentials: ServerCredentials) => void): ServerCredentials {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { chainPem, notAfterMs } = this.#authority.issueServer(this.#names, keys.publicKey, lifeMs);
    this.#renewAfter((notAfterMs - this.#clock.now()) / 2, use);
    return { keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), chainPem };
  }

  #renewAfter(delayMs: number, use: (credentials: ServerCredentials) => void): void {
    this.#cancel = this.#clock.after(delayMs, () => {
      try {
        use(this.#issue(use));
        this.#log.info('renewed the certificate of the discovery server');
      } catch (error) {
        this.#log.error({ reason: messageOf(error) }, 'cannot renew the certificate of the discovery server');
        this.#renewAfter(retryMs, use);
      }
    });
  }
}
