// From one issuer to the next without a moment in which two proxies do not trust each other: roots are handed out as
// soon as they are known, a new issuer signs when everybody has had the time to get them, and the roots before it stay
// until nothing of theirs is valid any more.
import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { IssuerMaterial } from './issuer-files.ts';
import { validityOf } from './x509.ts';

export interface IssuerRotationOptions {
  readonly clock: Clock;
  /** Proxies get roots with their certificates: the life of one, after which everybody has had another. */
  readonly overlapMs: number;
}

interface Retired {
  readonly pem: string;
  readonly untilMs: number;
}

/** Which material signs now, and which roots are trusted. */
export class IssuerRotation {
  readonly #options: IssuerRotationOptions;
  /** Since when a root has been handed out, by its PEM. */
  readonly #handedOutMs = new Map<string, number>();
  #current: IssuerMaterial;
  #next: { readonly material: IssuerMaterial; readonly fromMs: number } | null = null;
  #retired: readonly Retired[] = [];

  constructor(material: IssuerMaterial, options: IssuerRotationOptions) {
    this.#options = options;
    this.#current = material;
    // Whoever has a certificate has the root above it; of the other roots we cannot know.
    const nowMs = options.clock.now();
    for (const root of material.roots) {
      const isAbove = rootAbove(material) === root;
      this.#handedOutMs.set(root.toString(), isAbove ? Number.NEGATIVE_INFINITY : nowMs);
    }
  }

  /** What signs now. */
  get current(): IssuerMaterial {
    const next = this.#next;
    const nowMs = this.#options.clock.now();
    if (next !== null && (nowMs >= next.fromMs || nowMs >= endOf(this.#current))) this.#takeOver(next.material, nowMs);
    return this.#current;
  }

  /** When the issuer that waits begins to sign; null when none waits. Milliseconds since the epoch. */
  get nextFromMs(): number | null {
    void this.current;
    return this.#next?.fromMs ?? null;
  }

  /** Every root that a certificate in use may need, one PEM each. */
  rootsPem(): readonly string[] {
    return this.stages().map(({ pem }) => pem);
  }

  /** Those roots, and what a rotation is about to do with them. */
  stages(): readonly { readonly pem: string; readonly stage: 'trusted' | 'coming' | 'going' }[] {
    const { roots } = this.current;
    const nowMs = this.#options.clock.now();
    this.#retired = this.#retired.filter(({ untilMs }) => nowMs < untilMs);
    const coming = this.#next?.material.roots ?? [];
    const all = new Map<string, 'trusted' | 'coming' | 'going'>();
    for (const root of roots) all.set(root.toString(), 'trusted');
    for (const root of coming) if (!all.has(root.toString())) all.set(root.toString(), 'coming');
    for (const { pem } of this.#retired) if (!all.has(pem)) all.set(pem, 'going');
    return [...all].map(([pem, stage]) => ({ pem, stage }));
  }

  /**
   * Takes what the operator put in place of what there was: other roots are handed out from now on, and another issuer
   * signs when its root has been handed out for long enough.
   */
  offer(material: IssuerMaterial): void {
    const { clock, overlapMs } = this.#options;
    const nowMs = clock.now();
    const { current } = this;
    for (const root of material.roots) {
      const pem = root.toString();
      if (!this.#handedOutMs.has(pem)) this.#handedOutMs.set(pem, nowMs);
    }
    if (isSameIssuer(current, material)) {
      this.#current = material;
      this.#next = null;
      return;
    }
    const since = this.#handedOutMs.get(rootAbove(material)?.toString() ?? '') ?? nowMs;
    this.#next = { material, fromMs: since + overlapMs };
  }

  #takeOver(material: IssuerMaterial, nowMs: number): void {
    const untilMs = nowMs + this.#options.overlapMs;
    const gone = this.#current.roots.map((root) => ({ pem: root.toString(), untilMs }));
    this.#retired = [...this.#retired, ...gone];
    this.#current = material;
    this.#next = null;
  }
}

/** When the issuer, or an intermediate above it, ends: nothing issued may outlive that. In ms since the epoch. */
export function endOf({ issuer, intermediates }: IssuerMaterial): number {
  return Math.min(...[issuer.certificate, ...intermediates].map((one) => validityOf(one).notAfterMs));
}

function isSameIssuer(one: IssuerMaterial, other: IssuerMaterial): boolean {
  return one.issuer.certificate.fingerprint256 === other.issuer.certificate.fingerprint256;
}

function rootAbove({ issuer, intermediates, roots }: IssuerMaterial): X509Certificate | undefined {
  const chain = [issuer.certificate, ...intermediates];
  return roots.find((root) => chain.some((one) => one.checkIssued(root) && one.verify(root.publicKey)));
}
