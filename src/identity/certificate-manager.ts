// The node proxy's certificates: one per identity, asked for when a connection or a pod needs it, renewed at half of
// its life, kept in service while renewal fails. Keys are made here and leave only towards the data threads.
//
//   want ──▶ waiting ──▶ requesting ──▶ held ──(half-life)──▶ waiting …
//               ▲            │ failed
//               └─ backoff ──┘          (a certificate that is still valid stays in service meanwhile)
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import type { SpiffeId } from '../model/types.ts';
import type { CertificateView } from '../model/views.ts';
import { certificateView } from './certificate-view.ts';
import { createCsr } from './csr.ts';
import { parseSpiffeId } from './spiffe.ts';
import { uriNames, validityOf } from './x509.ts';

/** What a signer is asked. */
export interface SignRequest {
  readonly identity: SpiffeId;
  readonly csrPem: string;
  readonly ttlMs: number;
}

/** What it answers: leaf first, then intermediates; and the roots that verify peers. */
export interface SignedChain {
  readonly chainPem: readonly string[];
  readonly rootsPem: readonly string[];
}

/** A certificate in service, ready for a data thread. */
export interface IssuedCertificate {
  readonly identity: SpiffeId;
  readonly keyPem: string;
  readonly chainPem: readonly string[];
  readonly rootsPem: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** When the certificate of an identity ends, and how long it is good in all; null for none yet. */
export interface CertificateExpiry {
  readonly identity: SpiffeId;
  readonly notAfterMs: number | null;
  readonly lifeMs: number | null;
}

/** Who waits: a connection now, a pod that appeared on the node, or nobody yet (renewal). */
export type Priority = 'connection' | 'warmup' | 'background';

export interface CertificateManagerOptions {
  /** Asks the authority. Rejects with the reason; the manager tries again by itself. */
  readonly sign: (request: SignRequest, signal: AbortSignal) => Promise<SignedChain>;
  readonly clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly ttlMs: number;
  /** How many identities one node may hold: pods per node and then some. */
  readonly identitiesMax: number;
  /** Why a certificate counts no more though it is in date, or null; default: all count. */
  readonly revoked?: (certificate: IssuedCertificate) => string | null;
  /** Requests in flight at once. */
  readonly concurrency?: number;
}

interface ManagerEvents {
  /** A new or renewed certificate. */
  certificate: [IssuedCertificate];
  /** A request failed; `servedUntilMs` is when the certificate in service ends, null when there is none. */
  failed: [{ readonly identity: SpiffeId; readonly reason: string; readonly servedUntilMs: number | null }];
}

interface Entry {
  readonly identity: SpiffeId;
  priority: Priority;
  state: 'waiting' | 'requesting' | 'resting';
  held: IssuedCertificate | null;
  reason: string | null;
  readonly backoff: Backoff;
  readonly abort: AbortController;
  cancelTimer: (() => void) | null;
}

const ranks = { connection: 0, warmup: 1, background: 2 } as const satisfies Record<Priority, number>;
const defaultConcurrency = 8;
const backoffFirstMs = 500;
const backoffSpreadMs = 500;
const backoffCapMs = 150_000;
/** What fails is tried again at least so often in its life, however short that is. */
const triesPerLife = 20;
const backoffJitter = 0.2;
/** Renewal happens between 45 % and 50 % of the life, so that a node's certificates do not all come due at once. */
const renewalJitterShare = 0.05;

/** Certificates by identity, from `want` to `forget`; emits `certificate` and `failed`. */
export class CertificateManager extends EventEmitter<ManagerEvents> {
  readonly #options: CertificateManagerOptions;
  readonly #entries = new Map<SpiffeId, Entry>();
  #requesting = 0;
  #isClosed = false;

  constructor(options: CertificateManagerOptions) {
    super();
    this.#options = options;
  }

  /**
   * Sees to it that there is a certificate for `identity`; the answer comes as an event, unless `current` already has
   * it.
   * A more urgent call raises one that waits. Throws IDENTITY_INVALID, or LIMIT_REACHED above `identitiesMax`.
   */
  want(identity: SpiffeId, priority: Priority): void {
    if (this.#isClosed) return;
    const known = this.#entries.get(identity);
    if (known === undefined) {
      this.#add(identity, priority);
    } else if (ranks[priority] < ranks[known.priority] && this.current(identity) === null) {
      known.priority = priority;
      if (known.state === 'resting' && priority === 'connection') this.#repeatFailure(known);
    }
    this.#pump();
  }

  /**
   * Takes a certificate of an earlier run into service, and renews it when it is due. Returns false, and changes
   * nothing, when it is not what it says, out of date, or there is one already. Throws like `want`.
   */
  restore(certificate: IssuedCertificate): boolean {
    const { identity } = certificate;
    if (this.#isClosed || this.#entries.has(identity)) return false;
    let issued: IssuedCertificate;
    try {
      issued = checked(identity, createPrivateKey(certificate.keyPem), certificate, this.#options.clock.now());
    } catch {
      return false;
    }
    if (this.#options.revoked?.(issued)) return false;
    this.#add(identity, 'background');
    const entry = this.#entries.get(identity);
    if (entry !== undefined) this.#accept(entry, issued);
    return true;
  }

  /** The authority may be back: what failed is asked again now instead of at the end of its backoff. */
  retryNow(): void {
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'resting' || entry.reason === null) continue;
      entry.cancelTimer?.();
      entry.cancelTimer = null;
      entry.state = 'waiting';
      entry.backoff.reset();
    }
    this.#pump();
  }

  /** Gives up every certificate that was revoked, and asks for others at once. Returns their identities. */
  recheck(): SpiffeId[] {
    const { revoked } = this.#options;
    const given: SpiffeId[] = [];
    for (const entry of this.#entries.values()) {
      const reason = entry.held === null ? null : (revoked?.(entry.held) ?? null);
      if (reason === null) continue;
      entry.held = null;
      entry.reason = reason;
      given.push(entry.identity);
      entry.priority = 'warmup';
      if (entry.state !== 'resting') continue;
      entry.cancelTimer?.();
      entry.cancelTimer = null;
      entry.state = 'waiting';
    }
    this.#pump();
    return given;
  }

  /** The last workload with `identity` has gone: gives up its certificate and whatever is under way for it. */
  forget(identity: SpiffeId): void {
    const entry = this.#entries.get(identity);
    if (entry === undefined) return;
    this.#entries.delete(identity);
    entry.cancelTimer?.();
    entry.abort.abort(new MeshError('NO_CERTIFICATE', { identity, reason: 'it was forgotten' }));
  }

  /** The certificate in service, or null when there is none that is valid now. */
  current(identity: SpiffeId): IssuedCertificate | null {
    const held = this.#entries.get(identity)?.held ?? null;
    return held !== null && held.notAfterMs > this.#options.clock.now() ? held : null;
  }

  /** The certificate of each identity that is wanted, in order of identity: when it ends, and its whole life. */
  expiries(): CertificateExpiry[] {
    return [...this.#entries.values()]
      .sort((a, b) => (a.identity < b.identity ? -1 : 1))
      .map(({ identity, held }) => ({
        identity,
        notAfterMs: held?.notAfterMs ?? null,
        lifeMs: held === null ? null : held.notAfterMs - held.notBeforeMs,
      }));
  }

  /** What is held and what fails, without keys, ordered by identity. Reads every certificate: about 0.1 ms each. */
  views(): CertificateView[] {
    const nowMs = this.#options.clock.now();
    return [...this.#entries.values()]
      .sort((a, b) => (a.identity < b.identity ? -1 : 1))
      .map((entry) => certificateView(entry.identity, entry.held, entry.reason, nowMs));
  }

  /** Ends timers and requests. Nothing is emitted afterwards. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const identity of [...this.#entries.keys()]) this.forget(identity);
  }

  #add(identity: SpiffeId, priority: Priority): void {
    parseSpiffeId(identity);
    const { identitiesMax, random } = this.#options;
    if (this.#entries.size >= identitiesMax) {
      throw new MeshError('LIMIT_REACHED', { limit: 'identitiesMax', value: identitiesMax, what: identity });
    }
    const firstMs = backoffFirstMs + backoffSpreadMs * random();
    const backoff = new Backoff({ firstMs, capMs: backoffCapMs, jitter: backoffJitter, random });
    const abort = new AbortController();
    const state = 'waiting';
    this.#entries.set(identity, {
      identity,
      priority,
      state,
      held: null,
      reason: null,
      backoff,
      abort,
      cancelTimer: null,
    });
  }

  /** Starts the most urgent requests while there is room. */
  #pump(): void {
    while (!this.#isClosed && this.#requesting < (this.#options.concurrency ?? defaultConcurrency)) {
      let next: Entry | null = null;
      for (const entry of this.#entries.values()) {
        if (entry.state !== 'waiting') continue;
        if (next === null || ranks[entry.priority] < ranks[next.priority]) next = entry;
      }
      if (next === null) return;
      next.state = 'requesting';
      this.#requesting++;
      void this.#request(next).finally(() => {
        this.#requesting--;
        this.#pump();
      });
    }
  }

  async #request(entry: Entry): Promise<void> {
    const { identity } = entry;
    try {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const request = { identity, csrPem: createCsr(identity, keys), ttlMs: this.#options.ttlMs };
      const signed = await this.#options.sign(request, entry.abort.signal);
      const issued = checked(identity, keys.privateKey, signed, this.#options.clock.now());
      const reason = this.#options.revoked?.(issued) ?? null;
      if (reason !== null) throw new MeshError('NO_CERTIFICATE', { identity, reason });
      if (!this.#isCurrent(entry)) return;
      this.#accept(entry, issued);
    } catch (error) {
      if (this.#isCurrent(entry)) this.#retry(entry, messageOf(error));
    }
  }

  #accept(entry: Entry, issued: IssuedCertificate): void {
    const { clock, random } = this.#options;
    entry.held = issued;
    entry.reason = null;
    entry.backoff.reset();
    // From its arrival on rather than from notBefore: authorities back-date, and a node's clock may be off.
    const nowMs = clock.now();
    const halfLifeMs = (issued.notAfterMs - Math.max(issued.notBeforeMs, nowMs)) / 2;
    const delayMs = halfLifeMs * (1 - renewalJitterShare * 2 * random());
    this.#rest(entry, Math.max(delayMs, backoffFirstMs));
    this.emit('certificate', issued);
  }

  #retry(entry: Entry, reason: string): void {
    const nowMs = this.#options.clock.now();
    const isServing = entry.held !== null && entry.held.notAfterMs > nowMs;
    const untilExpiryMs = entry.held !== null && isServing ? entry.held.notAfterMs - nowMs : Number.POSITIVE_INFINITY;
    entry.reason = reason;
    const capMs = Math.max(this.#options.ttlMs / triesPerLife, backoffFirstMs);
    this.#rest(entry, Math.min(entry.backoff.next(), untilExpiryMs, capMs));
    const servedUntilMs = entry.held !== null && isServing ? entry.held.notAfterMs : null;
    this.emit('failed', { identity: entry.identity, reason, servedUntilMs });
  }

  /** A connection that comes while we back off is told so at once, instead of waiting for the next try. */
  #repeatFailure(entry: Entry): void {
    const { identity, reason } = entry;
    queueMicrotask(() => {
      if (!this.#isCurrent(entry) || entry.state !== 'resting' || reason === null) return;
      this.emit('failed', { identity, reason, servedUntilMs: null });
    });
  }

  #rest(entry: Entry, delayMs: number): void {
    const { clock } = this.#options;
    const dueMs = clock.now() + delayMs;
    entry.state = 'resting';
    entry.priority = 'background';
    const wake = (): void => {
      const leftMs = dueMs - clock.now();
      if (leftMs > 0) {
        entry.cancelTimer = clock.after(leftMs, wake); // longer than one timer can wait
        return;
      }
      entry.cancelTimer = null;
      entry.state = 'waiting';
      this.#pump();
    };
    entry.cancelTimer = clock.after(delayMs, wake);
  }

  #isCurrent(entry: Entry): boolean {
    return !this.#isClosed && this.#entries.get(entry.identity) === entry;
  }
}

/** Takes nothing on trust: the leaf must carry our key, exactly the identity that was asked for, and be valid now. */
function checked(identity: SpiffeId, privateKey: KeyObject, signed: SignedChain, nowMs: number): IssuedCertificate {
  const refuse = (reason: string): MeshError => new MeshError('NO_CERTIFICATE', { identity, reason });
  const [leafPem] = signed.chainPem;
  if (leafPem === undefined || signed.rootsPem.length === 0) throw refuse('the answer holds no leaf or no root');
  const leaf = new X509Certificate(leafPem);
  const names = uriNames(leaf);
  if (names.length !== 1 || names[0] !== identity) throw refuse(`the answer is for ${names.join(', ') || 'nobody'}`);
  if (!leaf.checkPrivateKey(privateKey)) throw refuse('the answer is for another key');
  const { notBeforeMs, notAfterMs } = validityOf(leaf);
  if (nowMs >= notAfterMs) throw refuse(`the answer expired at ${new Date(notAfterMs).toISOString()}`);
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { identity, keyPem, chainPem: signed.chainPem, rootsPem: signed.rootsPem, notBeforeMs, notAfterMs };
}
