// The controller's certificate authority: its own root, made at first start, or an issuer that the operator brings. It
// holds the one key that matters most, so it hands out certificates and never the key. Who may have which identity is
// decided by the caller.
import { type KeyObject, X509Certificate } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import { ipToBytes } from '../base/ip.ts';
import type { SpiffeId } from '../model/types.ts';
import type { CertificatesView } from '../model/views.ts';
import { keyholderView } from './certificate-view.ts';
import { type IssuerMaterial, loadOrCreateIssuer } from './issuer-files.ts';
import { endOf, IssuerRotation } from './issuer-rotation.ts';
import { parseSpiffeId } from './spiffe.ts';
import { createServerLeaf, createWorkloadLeaf, type Validity } from './x509.ts';

export interface AuthorityOptions {
  /** Holds `ca.key` and `ca.crt` (created when absent), or the operator's `tls.crt`, `tls.key` and `ca.crt`. */
  readonly dir: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** The longest life of a certificate: how long the roots of two issuers overlap. Default: 24 h. */
  readonly overlapMs?: number;
}

export interface IssuedChain {
  /** Leaf, then intermediates. */
  readonly chainPem: readonly string[];
  readonly notAfterMs: number;
}

/** Clocks differ by minutes: a certificate begins before it was asked for, by at most a tenth of its life. */
const backDateMaxMs = 300_000;
const overlapMsDefault = 86_400_000;

/** Issues certificates from the issuer in one folder. */
export class CertificateAuthority {
  readonly #options: AuthorityOptions;
  readonly #rotation: IssuerRotation;

  /**
   * Loads the issuer of `options.dir`, or makes a root there. Throws CONFIG_INVALID, naming the file, when a key does
   * not match, a certificate has expired or is no authority, or the chain does not end in a root.
   */
  constructor(options: AuthorityOptions) {
    this.#options = options;
    const { dir, trustDomain, clock, overlapMs = overlapMsDefault } = options;
    const material = loadOrCreateIssuer(dir, trustDomain, clock.now());
    this.#rotation = new IssuerRotation(material, { clock, overlapMs });
  }

  /** The earliest end of the issuer and of the intermediates above it: nothing issued may outlive it. */
  get notAfterMs(): number {
    return endOf(this.#material);
  }

  /** When the issuer that waits for its roots to be known begins to sign; null when none waits. */
  get nextIssuerFromMs(): number | null {
    return this.#rotation.nextFromMs;
  }

  /**
   * Reads the folder again. Other roots count at once, another issuer signs when its roots are known everywhere.
   * Throws as the constructor does; what was there goes on.
   */
  reload(): void {
    const { dir, trustDomain, clock } = this.#options;
    this.#rotation.offer(loadOrCreateIssuer(dir, trustDomain, clock.now()));
  }

  get #material(): IssuerMaterial {
    return this.#rotation.current;
  }

  /** The roots that verify what this authority issued, and those of a rotation that is under way, one PEM each. */
  rootsPem(): readonly string[] {
    return this.#rotation.rootsPem();
  }

  /** Every root and the issuer, without the servers that show certificates of theirs. */
  view(): Omit<CertificatesView, 'servers'> {
    const { nextIssuerFromMs } = this;
    const roots = this.#rotation.stages().map(({ pem, stage }) => {
      return { ...signerView(new X509Certificate(pem)), stage };
    });
    const nextIssuerFrom = nextIssuerFromMs === null ? null : new Date(nextIssuerFromMs).toISOString();
    return { roots, issuer: signerView(this.#material.issuer.certificate), nextIssuerFrom };
  }

  /** Who signs, for people: subject and end of the issuer. */
  describe(): {
    readonly subject: string;
    readonly notAfter: string;
    readonly roots: number;
    readonly created: boolean;
  } {
    const { issuer, roots, created } = this.#material;
    const subject = issuer.certificate.subject.replaceAll('\n', ', ');
    return { subject, notAfter: new Date(this.notAfterMs).toISOString(), roots: roots.length, created };
  }

  /**
   * Issues a workload's certificate for the key `spki` (DER), valid for `ttlMs` or until the issuer ends.
   * Throws IDENTITY_INVALID, or CA_REFUSED for another trust domain or when the issuer has expired.
   * It begins no earlier than `notBeforeMs`, before which what the identity has is revoked: CA_REFUSED until then.
   */
  issueWorkload(identity: SpiffeId, spki: Uint8Array, ttlMs: number, notBeforeMs = 0): IssuedChain {
    const { trustDomain } = parseSpiffeId(identity);
    if (trustDomain !== this.#options.trustDomain) {
      throw new MeshError('CA_REFUSED', { identity, reason: `the trust domain here is ${this.#options.trustDomain}` });
    }
    const validity = this.#validity(identity, ttlMs, notBeforeMs);
    return this.#chain(createWorkloadLeaf(this.#material.issuer, spki, identity, validity), validity);
  }

  /** Issues a server's certificate for DNS names and IP addresses. Throws CA_REFUSED when the issuer has expired. */
  issueServer(names: readonly string[], publicKey: KeyObject, ttlMs: number): IssuedChain {
    const ips = names.flatMap((name) => ipToBytes(name) ?? []);
    const dns = names.filter((name) => ipToBytes(name) === null);
    const validity = this.#validity(names.join(', '), ttlMs);
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    return this.#chain(createServerLeaf(this.#material.issuer, spki, { dns, ips }, validity), validity);
  }

  #validity(who: string, ttlMs: number, earliestMs = 0): Validity {
    const nowMs = this.#options.clock.now();
    if (nowMs >= this.notAfterMs) {
      throw new MeshError('CA_REFUSED', {
        identity: who,
        reason: `the issuer expired at ${new Date(this.notAfterMs).toISOString()}`,
      });
    }
    // Certificates count in whole seconds.
    const notBeforeFloorMs = Math.ceil(earliestMs / 1000) * 1000;
    if (nowMs < notBeforeFloorMs) {
      const reason = `what is issued before ${new Date(notBeforeFloorMs).toISOString()} is revoked already`;
      throw new MeshError('CA_REFUSED', { identity: who, reason });
    }
    const notBeforeMs = Math.max(notBeforeFloorMs, nowMs - Math.min(backDateMaxMs, ttlMs / 10));
    return { notBeforeMs, notAfterMs: Math.min(nowMs + ttlMs, this.notAfterMs) };
  }

  #chain(leafPem: string, validity: Validity): IssuedChain {
    const intermediates = this.#material.sent.map((certificate) => certificate.toString());
    return { chainPem: [leafPem, ...intermediates], notAfterMs: validity.notAfterMs };
  }
}

function signerView(certificate: X509Certificate) {
  return { subject: certificate.subject.replaceAll('\n', ', '), ...keyholderView(certificate) };
}
