// Decides whether this proxy connects to pods from the addresses of their clients: where it is wanted, and a test on
// the running kernel has shown that it works. The data threads accept nothing before they have been told.
import { clientAddressRulesInPlace } from '../capture/host-backend.ts';
import { type Family, type Proof, proveClientAddress } from '../capture/prove-client-address.ts';
import { TransparentSockets } from '../io/transparent-socket.ts';
import type { ClientAddressView } from '../model/views.ts';
import type { ToDataThread } from '../proxy/messages.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ClientAddressOptions {
  readonly setting: ClientAddressView['setting'];
  /** False where nothing is captured: then there is nothing to keep. */
  readonly isPossible: boolean;
  readonly log: Logger;
  readonly broadcast: (message: ToDataThread) => void;
  /** The seams that tests replace. */
  readonly isInPlace?: () => Promise<boolean>;
  readonly prove?: (family: Family) => Promise<Proof>;
}

/** Made at start; `begin` and `captured` run the test, `view` has what was found. Throws nothing. */
export class ClientAddressKeeper {
  readonly #options: ClientAddressOptions;
  #view: ClientAddressView;
  #isProved = false;
  #isKnown = false;
  #running: Promise<void> | null = null;

  constructor(options: ClientAddressOptions) {
    this.#options = options;
    this.#view = { setting: options.setting, ipv4: false, ipv6: false, reason: null };
  }

  /** True when data threads wait for what is found. */
  get isAwaited(): boolean {
    return this.#options.isPossible && this.#options.setting !== 'off';
  }

  get view(): ClientAddressView {
    return this.#view;
  }

  /** What readiness waits for; null when nothing. */
  pending(): string | null {
    if (!this.isAwaited || (this.#isProved && this.#view.reason === null)) return null;
    if (this.#isKnown && this.#options.setting === 'auto') return null;
    return this.#view.reason ?? 'not tried yet';
  }

  /** What a data thread that starts has to be told, once it is known. */
  messages(): ToDataThread[] {
    const { ipv4, ipv6 } = this.#view;
    return this.#isKnown ? [{ type: 'clientAddresses', ipv4, ipv6 }] : [];
  }

  /**
   * Tests at once where the rules of the last proxy are still in place: connections may wait for this one already.
   * Where that fails, or there are none, nothing is decided before `captured`.
   */
  async begin(): Promise<void> {
    const { isInPlace = clientAddressRulesInPlace } = this.#options;
    if (!this.isAwaited || !(await isInPlace())) return;
    const [ipv4, ipv6] = await this.#proofs();
    const failed = ipv4.reason !== null || ipv6.reason !== null;
    if (!failed && this.#running === null) this.#found(ipv4, ipv6);
  }

  /** Capture was tried: with rules in place it is tested, once; without, the data threads need not wait for it. */
  captured(isApplied: boolean): Promise<void> {
    if (!this.isAwaited || this.#isProved) return Promise.resolve();
    if (!isApplied) {
      if (!this.#isKnown) this.#say({ ...this.#view, reason: 'capture is not in place' });
      return Promise.resolve();
    }
    this.#running ??= this.#test();
    return this.#running;
  }

  async #test(): Promise<void> {
    const [ipv4, ipv6] = await this.#proofs();
    this.#found(ipv4, ipv6);
    if (this.#view.reason === null) return;
    const note = "applications do not see their clients' addresses but the node's";
    this.#options.log.warn({ ipv4: ipv4.reason ?? 'kept', ipv6: ipv6.reason ?? 'kept' }, note);
  }

  #proofs(): Promise<[Proof, Proof]> {
    const prove = this.#options.prove ?? proverOf(TransparentSockets.load());
    return Promise.all([prove('ipv4'), prove('ipv6')]);
  }

  #found(ipv4: Proof, ipv6: Proof): void {
    const reason = ipv4.reason ?? ipv6.reason;
    this.#isProved = true;
    this.#say({ setting: this.#options.setting, ipv4: ipv4.works, ipv6: ipv6.works, reason });
  }

  #say(view: ClientAddressView): void {
    this.#view = view;
    this.#isKnown = true;
    for (const message of this.messages()) this.#options.broadcast(message);
  }
}

function proverOf(sockets: TransparentSockets | null): (family: Family) => Promise<Proof> {
  return (family) => proveClientAddress(family, sockets);
}

/**
 * Where capture is inside of pods, such connections begin next to the application and leave no network: nothing but the
 * socket itself can fail.
 */
export function clientAddressesInPods(): Required<Pick<ClientAddressOptions, 'isInPlace' | 'prove'>> {
  const works = TransparentSockets.load() !== null;
  const reason = works ? null : `this Node (${process.version}) has no node:ffi; use Node 26.1 or newer`;
  return { isInPlace: async () => true, prove: async () => ({ works, reason }) };
}
