// What a proxy still waits for, in words; nothing means ready. Looked at by the readiness port, the dump and the
// metrics.

import type { Logger } from '../telemetry/logger.ts';
import type { CertificateKeeper } from './certificate-keeper.ts';
import type { MeshKeeper } from './mesh-keeper.ts';
import type { ThreadPool } from './thread-pool.ts';

export interface ReadinessSources {
  readonly mesh: MeshKeeper;
  readonly certificates: CertificateKeeper;
  readonly threads: ThreadPool;
  /** What the kind of proxy waits for besides. */
  readonly more: () => readonly string[];
  readonly log: Logger;
  /** When the state on disk was saved, RFC 3339; null when there is none. */
  readonly savedAt: string | null;
}

/** Asks the parts of the proxy; says in the log whenever the answer changes. */
export class Readiness {
  isDraining = false;
  /** The identities that need certificates are known. */
  knowsIdentities = false;
  readonly #sources: ReadinessSources;
  /** Every local identity has had its certificate once: a pod that comes later does not make the node unready. */
  #wasCertified = false;
  #said = '';

  constructor(sources: ReadinessSources) {
    this.#sources = sources;
  }

  pending(): string[] {
    const { mesh, certificates, threads, more } = this.#sources;
    const pending: string[] = [];
    if (this.isDraining) pending.push('draining');
    if (!mesh.isKnown) pending.push(`discovery (${mesh.view().lastError ?? 'waiting for the whole mesh'})`);
    const missing = certificates.missing();
    if (missing.length > 0 && !this.#wasCertified) pending.push(`certificates (${missing.join(', ')})`);
    const all = threads.views();
    const serving = all.filter(({ state }) => state === 'serving').length;
    if (serving < all.length) pending.push(`data threads (${serving} of ${all.length} serve)`);
    return [...pending, ...more()];
  }

  /** What is to be said although nothing is waited for; '' when there is nothing. */
  note(): string {
    if (!this.#sources.mesh.view().fromDisk) return '';
    return `serving the state saved at ${this.#sources.savedAt}; the controller has not been reached yet`;
  }

  /** Something that readiness looks at may have changed. */
  changed(): void {
    const { certificates, log } = this.#sources;
    if (this.knowsIdentities && certificates.missing().length === 0) this.#wasCertified = true;
    const pending = this.pending().join('; ');
    if (pending === this.#said) return;
    this.#said = pending;
    if (pending === '') log.info({ note: this.note() || undefined }, 'ready');
    else log.debug({ pending }, 'not ready');
  }
}
