// A server's certificate that somebody else keeps, in two files: read at the start, and again when it was renewed,
// since who renews it (cert-manager, the kubelet for a Secret) tells nobody.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { keyholderView } from '../identity/certificate-view.ts';
import type { CertificatesView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { TlsCredentials } from '../telemetry/metrics-server.ts';

export interface FileCertificateOptions {
  /** PEM, the server's own certificate first. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Which server it is, for people. */
  readonly server: CertificatesView['servers'][number]['server'];
  readonly clock: Clock;
  readonly log: Logger;
}

const lookMs = 30_000;

/** Looks from `start` to `close`. */
export class FileCertificate {
  readonly #options: FileCertificateOptions;
  #used: TlsCredentials | null = null;
  #complaint = '';
  #cancel: (() => void) | null = null;

  constructor(options: FileCertificateOptions) {
    this.#options = options;
  }

  /** Hands what the files say to `use`, now and whenever they say something else. Throws INPUT_UNREADABLE. */
  start(use: (credentials: TlsCredentials) => void): void {
    this.#used = this.#read();
    use(this.#used);
    this.#lookLater(use);
  }

  /** What is shown now; nothing before `start`. */
  views(): CertificatesView['servers'] {
    const [leaf] = this.#used?.chainPem ?? [];
    return leaf === undefined ? [] : [{ server: this.#options.server, ...keyholderView(new X509Certificate(leaf)) }];
  }

  /** Idempotent. */
  close(): void {
    this.#cancel?.();
  }

  #lookLater(use: (credentials: TlsCredentials) => void): void {
    const { clock, log, server } = this.#options;
    this.#cancel = clock.after(lookMs, () => {
      try {
        const found = this.#read();
        if (found.keyPem !== this.#used?.keyPem || found.chainPem[0] !== this.#used.chainPem[0]) {
          this.#used = found;
          use(found);
          log.info({ server }, 'the certificate of a server was replaced');
        }
        this.#complaint = '';
      } catch (error) {
        // One file may have been replaced and the other not yet.
        const reason = messageOf(error);
        if (reason !== this.#complaint) log.warn({ server, reason }, 'the certificate of a server stays as it was');
        this.#complaint = reason;
      }
      this.#lookLater(use);
    });
  }

  #read(): TlsCredentials {
    const { certificateFile, keyFile } = this.#options;
    const [chainPem, keyPem] = [textOf(certificateFile), textOf(keyFile)];
    const belongs = readAs(keyFile, 'no private key', () => {
      const key = createPrivateKey(keyPem);
      return readAs(certificateFile, 'no certificate', () => new X509Certificate(chainPem).checkPrivateKey(key));
    });
    if (belongs) return { keyPem, chainPem: [chainPem] };
    throw new MeshError('INPUT_UNREADABLE', { place: keyFile, reason: `it is not the key of ${certificateFile}` });
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
}

/** Says nothing of what stands there, which may be a key. */
function readAs<T>(place: string, reason: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError('INPUT_UNREADABLE', { place, reason: `it has ${reason}` });
  }
}
