// The certificates of a data thread: one ready TLS context per identity. The main thread holds and renews them; a data
// thread asks for one it has not seen, once, and lets the connections that need it wait, bounded in number and time.
import { MeshError, messageOf } from '../base/errors.ts';
import type { CredentialSource } from '../forward/context.ts';
import { tunnelSecureContext } from '../io/tls-context.ts';
import type { SpiffeId } from '../model/types.ts';
import type { TunnelCredentials } from '../tunnel/types.ts';
import type { ToDataThread } from './messages.ts';

type CertificateMessage = Extract<ToDataThread, { type: 'certificate' }>;
type Callback = (error: MeshError | null, credentials: TunnelCredentials | null) => void;

/** Limits are read when they are needed: the object may change them. */
export interface CredentialStoreOptions {
  readonly trustDomain: string;
  /** Asks the main thread; the answer comes through `set` or `fail`. */
  readonly ask: (identity: SpiffeId) => void;
  readonly waitersMax: number;
  readonly waitMs: number;
  readonly now?: () => number;
}

interface Waiter {
  readonly callback: Callback;
  readonly timer: NodeJS.Timeout;
}

/** Credentials by identity. */
export class CredentialStore implements CredentialSource {
  readonly #options: CredentialStoreOptions;
  readonly #now: () => number;
  readonly #ready = new Map<SpiffeId, TunnelCredentials>();
  /** Identities that were asked for, with who waits. */
  readonly #asked = new Map<SpiffeId, Set<Waiter>>();
  #waiters = 0;
  #generation = 0;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get size(): number {
    return this.#ready.size;
  }

  get waiting(): number {
    return this.#waiters;
  }

  /** The credentials if they are here and in date. */
  peek(identity: SpiffeId): TunnelCredentials | null {
    const found = this.#ready.get(identity);
    return found !== undefined && found.notAfterMs > this.#now() ? found : null;
  }

  /**
   * Calls back once, at once when the credentials are here. Otherwise with LIMIT_REACHED, or with NO_CERTIFICATE when
   * the main thread could not get them or did not answer in time. Returns a function that gives up waiting.
   */
  want(identity: SpiffeId, callback: Callback): () => void {
    const found = this.peek(identity);
    if (found !== null) {
      callback(null, found);
      return () => {};
    }
    const { waitersMax, waitMs } = this.#options;
    if (this.#waiters >= waitersMax) {
      const details = {
        limit: 'heldConnectionsMax',
        value: waitersMax,
        what: 'connections that wait for certificates',
      };
      callback(new MeshError('LIMIT_REACHED', details), null);
      return () => {};
    }
    const timer = setTimeout(() => {
      const reason = `the main thread did not answer in ${waitMs} ms`;
      if (this.#drop(identity, waiter)) callback(new MeshError('NO_CERTIFICATE', { identity, reason }), null);
    }, waitMs);
    const waiter: Waiter = { callback, timer };
    this.#waiters++;
    const waiting = this.#asked.get(identity);
    // An empty set: it was asked for, and everyone has given up since. Asking again does no harm.
    if (waiting !== undefined && waiting.size > 0) waiting.add(waiter);
    else {
      this.#asked.set(identity, new Set([waiter]));
      this.#options.ask(identity);
    }
    return () => {
      this.#drop(identity, waiter);
    };
  }

  /** A certificate arrived, new or renewed. A chain that TLS does not take counts as a failure. */
  set(message: CertificateMessage): void {
    const { identity, notAfterMs } = message;
    let credentials: TunnelCredentials;
    try {
      const { keyPem, rootsPem } = message;
      const secureContext = tunnelSecureContext({ keyPem, chainPem: message.chainPem.join('\n'), rootsPem });
      const { trustDomain } = this.#options;
      credentials = { identity, trustDomain, secureContext, generation: ++this.#generation, notAfterMs };
    } catch (error) {
      this.fail(identity, messageOf(error));
      return;
    }
    this.#ready.set(identity, credentials);
    for (const waiter of this.#take(identity)) waiter.callback(null, credentials);
  }

  /**
   * There is no certificate to be had now. One that is here and in date stays in use; the next connection asks again.
   */
  fail(identity: SpiffeId, reason: string): void {
    const error = new MeshError('NO_CERTIFICATE', { identity, reason });
    for (const waiter of this.#take(identity)) waiter.callback(error, null);
  }

  /** The identity runs on this node no more. */
  forget(identity: SpiffeId): void {
    this.#ready.delete(identity);
    this.fail(identity, 'it runs on this node no more');
  }

  close(): void {
    for (const identity of [...this.#asked.keys()]) this.fail(identity, 'the data thread is closing');
    this.#ready.clear();
  }

  #take(identity: SpiffeId): Waiter[] {
    const waiting = [...(this.#asked.get(identity) ?? [])];
    this.#asked.delete(identity);
    this.#waiters -= waiting.length;
    for (const waiter of waiting) clearTimeout(waiter.timer);
    return waiting;
  }

  #drop(identity: SpiffeId, waiter: Waiter): boolean {
    if (this.#asked.get(identity)?.delete(waiter) !== true) return false;
    clearTimeout(waiter.timer);
    this.#waiters--;
    return true;
  }
}
