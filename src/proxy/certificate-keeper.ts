// The certificates of a node proxy between authority, data threads and disk: one per identity that runs on this node,
// asked for before a connection needs it, handed to every thread, forgotten with the last pod that has the identity.
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import {
  CertificateManager,
  type CertificateManagerOptions,
  type IssuedCertificate,
} from '../identity/certificate-manager.ts';
import { uriNames } from '../identity/x509.ts';
import { canonicalSerial, type RevocationList } from '../model/revocation.ts';
import type { SpiffeId } from '../model/types.ts';
import type { CertificateView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ToDataThread } from './messages.ts';

export interface CertificateKeeperOptions {
  readonly sign: CertificateManagerOptions['sign'];
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Why a certificate counts no more, or null. */
  readonly revoked: (certificate: IssuedCertificate) => string | null;
  readonly broadcast: (message: ToDataThread) => void;
  /** A certificate came, was renewed or was given up. */
  readonly onChange: () => void;
}

/** Pods of one node, and as many again that come and go. */
const identitiesMax = 1_024;

/** Holds the certificates of this node's identities and tells `broadcast` of each that comes or goes. */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #manager: CertificateManager;
  #local: ReadonlySet<SpiffeId> = new Set();

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    const { sign, ttlMs, clock, random, log, broadcast, onChange, revoked } = options;
    this.#manager = new CertificateManager({ sign, ttlMs, clock, random, identitiesMax, revoked });
    this.#manager.on('certificate', (certificate) => {
      log.debug({ identity: certificate.identity, notAfterMs: certificate.notAfterMs }, 'certificate in service');
      broadcast(messageOfCertificate(certificate));
      onChange();
    });
    this.#manager.on('failed', ({ identity, reason, servedUntilMs }) => {
      log.warn({ identity, reason, servedUntilMs }, 'no new certificate; asking again');
      if (servedUntilMs === null) broadcast({ type: 'certificateFailed', identity, reason });
    });
  }

  /** Takes the certificates of an earlier run into service. */
  restore(certificates: readonly IssuedCertificate[]): void {
    const restored = certificates.filter((certificate) => this.#try(() => this.#manager.restore(certificate)));
    if (restored.length > 0)
      this.#options.log.info({ count: restored.length }, 'certificates of the last run in service');
  }

  /** `identities` are those of the enrolled pods on this node now: what is new is asked for, what is gone forgotten. */
  setLocal(identities: ReadonlySet<SpiffeId>): void {
    const before = new Set([...this.#local, ...this.#manager.expiries().map(({ identity }) => identity)]);
    this.#local = identities;
    for (const identity of identities) this.#try(() => this.#manager.want(identity, 'warmup'));
    for (const identity of before) {
      if (identities.has(identity)) continue;
      this.#manager.forget(identity);
      this.#options.broadcast({ type: 'certificateForgotten', identity });
      this.#options.onChange();
    }
  }

  /** The revocations have changed: gives up what counts no more, and asks for others. */
  recheck(): void {
    for (const identity of this.#manager.recheck()) {
      this.#options.log.warn({ identity }, 'the certificate was revoked; asking for another');
      this.#options.broadcast({ type: 'certificateForgotten', identity });
      this.#options.onChange();
    }
  }

  /** A data thread has a connection that waits for `identity`. */
  wanted(identity: SpiffeId, reply: (message: ToDataThread) => void): void {
    const held = this.#manager.current(identity);
    if (!this.#local.has(identity)) {
      reply({ type: 'certificateFailed', identity, reason: 'no enrolled pod of this node has this identity' });
    } else if (held !== null) {
      reply(messageOfCertificate(held));
    } else {
      const refused = this.#try(() => this.#manager.want(identity, 'connection'));
      if (refused === null)
        reply({ type: 'certificateFailed', identity, reason: 'the limit of identities is reached' });
    }
  }

  /** The messages that tell a new data thread everything that is in service. */
  messages(): ToDataThread[] {
    return this.held().map(messageOfCertificate);
  }

  /** What is in service, keys included. */
  held(): IssuedCertificate[] {
    return this.#manager
      .expiries()
      .map(({ identity }) => this.#manager.current(identity))
      .filter((certificate) => certificate !== null);
  }

  /** Local identities without a valid certificate. */
  missing(): SpiffeId[] {
    return [...this.#local].filter((identity) => this.#manager.current(identity) === null);
  }

  /** When the certificate of each identity ends; null for none yet. */
  expiries(): ReturnType<CertificateManager['expiries']> {
    return this.#manager.expiries();
  }

  views(): CertificateView[] {
    return this.#manager.views();
  }

  /** The controller is reachable again. */
  retryNow(): void {
    this.#manager.retryNow();
  }

  close(): void {
    this.#manager.close();
  }

  #try<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      this.#options.log.warn({ reason: messageOf(error) }, 'an identity cannot be served');
      return null;
    }
  }
}

/** A signer for a proxy that has no controller: every request is refused with the reason. */
export const signNothing: CertificateManagerOptions['sign'] = async () => {
  const reason = 'no controllerUrl is configured';
  throw new MeshError('NOT_REACHABLE', { what: 'the controller', reason, hint: 'set controllerUrl' });
};

function messageOfCertificate(certificate: IssuedCertificate): ToDataThread {
  const { identity, keyPem, chainPem, rootsPem, notAfterMs } = certificate;
  return { type: 'certificate', identity, keyPem, chainPem, rootsPem, notAfterMs };
}

/** In words, the revocation that a certificate falls under; null when it counts. */
export function revocationOf({ chainPem }: IssuedCertificate, revocations: RevocationList): string | null {
  if (revocations.size === 0) return null;
  const leaf = new X509Certificate(chainPem[0] ?? '');
  const serial = canonicalSerial(leaf.serialNumber) ?? '';
  const key = revocations.find({ uris: uriNames(leaf), serial, notBeforeMs: +leaf.validFromDate });
  return key === null ? null : `revoked by ${key}`;
}
