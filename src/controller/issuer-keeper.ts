// Looks from time to time whether the operator has put another issuer or other roots in place, in the Secret or in the
// folder, and lets the authority have them.
import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { digestOf } from '../base/file-digest.ts';
import type { CertificateAuthority } from '../identity/certificate-authority.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RootSecret } from './root-secret.ts';

export interface IssuerKeeperOptions {
  readonly authority: CertificateAuthority;
  readonly dir: string;
  /** Null where the folder is the operator's. */
  readonly secret: RootSecret | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called with the roots whenever they are others. */
  readonly rootsChanged: (rootsPem: readonly string[]) => void;
  /** Called when other files are no issuer, or the issuer is about to end; null when it can be used again. */
  readonly troubled?: (what: 'files' | 'end', problem: string | null) => void;
}

const lookMs = 30_000;
const dayMs = 86_400_000;
/** Before its end, the issuer is spoken of so many days before. */
const endMarksDays = [30, 7, 1];
const fileNames = ['tls.crt', 'tls.key', 'ca.crt', 'ca.key'] as const;

/** Looks from `start` to `close`. */
export class IssuerKeeper {
  readonly #options: IssuerKeeperOptions;
  #digest = '';
  #roots = '';
  #complaint = '';
  #endMarks = 0;
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(options: IssuerKeeperOptions) {
    this.#options = options;
  }

  /** Takes what is there now as known, tells its roots, and begins to look. */
  start(): void {
    const { authority, clock } = this.#options;
    this.#digest = this.#digestOfFiles();
    this.#endMarks = endMarksDays.filter((days) => authority.notAfterMs - clock.now() <= days * dayMs).length;
    this.#tellRoots();
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#cancel = this.#options.clock.after(lookMs, () => {
      void this.#look().then(() => this.#schedule());
    });
  }

  async #look(): Promise<void> {
    const { authority, secret, clock, log } = this.#options;
    try {
      await secret?.fetch(clock.now());
      const digest = this.#digestOfFiles();
      if (digest !== this.#digest) {
        authority.reload();
        this.#digest = digest;
        const waits = authority.nextIssuerFromMs;
        const next = waits === null ? {} : { nextIssuerSignsFrom: new Date(waits).toISOString() };
        log.info({ ...authority.describe(), ...next }, 'the certificate authority has other files');
      }
      if (this.#complaint !== '') this.#options.troubled?.('files', null);
      this.#complaint = '';
    } catch (error) {
      const complaint = messageOf(error);
      if (complaint !== this.#complaint) {
        log.error({ reason: complaint }, 'the issuer stays as it was');
        this.#options.troubled?.('files', `the issuer stays as it was: ${complaint}`);
      }
      this.#complaint = complaint;
    }
    this.#tellRoots();
    this.#tellEnd();
  }

  /** Once at each of the marks, and not for those that were behind us at the start. */
  #tellEnd(): void {
    const { authority, clock, troubled } = this.#options;
    const leftMs = authority.notAfterMs - clock.now();
    const marks = endMarksDays.filter((days) => leftMs <= days * dayMs).length;
    if (marks > this.#endMarks) {
      const notAfter = new Date(authority.notAfterMs).toISOString();
      troubled?.('end', `the issuer ends at ${notAfter}, and nothing that it signs outlives it; put another one here`);
    }
    this.#endMarks = marks;
  }

  #tellRoots(): void {
    const rootsPem = this.#options.authority.rootsPem();
    const roots = rootsPem.join('');
    if (roots === this.#roots) return;
    this.#roots = roots;
    this.#options.rootsChanged(rootsPem);
  }

  #digestOfFiles(): string {
    return fileNames.map((name) => digestOf(path.join(this.#options.dir, name))).join(' ');
  }
}
