// Keeps the kernel's rules as the mesh calls for them: applies what is desired, reads it back from time to time,
// repairs what somebody changed, and tries again when something fails.
import { isDeepStrictEqual } from 'node:util';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { CaptureBackend } from '../capture/backend.ts';
import type { DesiredCapture } from '../capture/desired.ts';
import type { NodeDump } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface CaptureKeeperOptions {
  readonly backend: CaptureBackend;
  readonly kind: NodeDump['capture']['backend'];
  /** False where nothing is captured: then the state stays `off` and nothing is waited for. */
  readonly isOn: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onChange: () => void;
}

const verifyEveryMs = 10_000;
const retryFirstMs = 250;
const retryCapMs = 30_000;

/** Tells the backend what is wanted and watches over it; throws nothing, what fails is in `view`. */
export class CaptureKeeper {
  /** How often the rules were found changed by somebody else, and mended. */
  repairs = 0;
  readonly #options: CaptureKeeperOptions;
  readonly #backoff: Backoff;
  #desired: DesiredCapture | null = null;
  #view: Omit<NodeDump['capture'], 'backend' | 'pods'> = { state: 'off', verifiedAt: null, reason: null };
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  /** Why, by the file of the namespace. */
  #failedPods: ReadonlyMap<string, string> = new Map();
  #again = false;
  #isClosed = false;

  constructor(options: CaptureKeeperOptions) {
    this.#options = options;
    const { random } = options;
    this.#backoff = new Backoff({ firstMs: retryFirstMs, capMs: retryCapMs, jitter: 0.2, random });
  }

  get view(): NodeDump['capture'] {
    const { backend, kind } = this.#options;
    return { backend: kind, ...this.#view, pods: backend.pods() };
  }

  /** Applied and verified, or nothing to capture. */
  get isReady(): boolean {
    return !this.#options.isOn || (this.#view.state === 'applied' && this.#view.verifiedAt !== null);
  }

  /** Makes `desired` the aim; resolves when it has been tried. Failures show in `view`, never as a rejection. */
  want(desired: DesiredCapture): Promise<void> {
    this.#desired = desired;
    return this.#options.isOn ? this.#tend() : Promise.resolve();
  }

  /** Nothing is applied or repaired any more, and nothing comes any more; the rules stay. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
    this.#options.backend.close();
    await this.#running;
  }

  #tend(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    if (this.#running !== null) {
      this.#again = true;
      return this.#running;
    }
    this.#cancel?.();
    this.#cancel = null;
    this.#running = this.#work().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #work(): Promise<void> {
    let delayMs: number = verifyEveryMs;
    do {
      this.#again = false;
      delayMs = (await this.#once()) ? verifyEveryMs : this.#backoff.next();
    } while (this.#again && !this.#isClosed);
    if (this.#isClosed) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = null;
      void this.#check();
    });
  }

  /** The periodic look: what was changed behind our back counts as a repair. */
  async #check(): Promise<void> {
    const { backend, log } = this.#options;
    try {
      const { state, findings } = await backend.verify();
      if (state === 'drifted' && this.#view.state === 'applied') {
        this.repairs += 1;
        log.warn({ findings }, 'the capture rules were changed by somebody else; they are repaired');
      }
    } catch (error) {
      log.warn({ error }, 'the capture rules could not be verified');
    }
    await this.#tend();
  }

  async #once(): Promise<boolean> {
    const { backend, clock, log, onChange } = this.#options;
    const desired = this.#desired;
    if (desired === null) return true;
    const before = this.#view.state;
    try {
      await backend.apply(desired);
      const { state, findings } = await backend.verify();
      if (state === 'drifted') return this.#fail(`not as applied: ${findings.join('; ')}`);
      this.#view = { state: 'applied', verifiedAt: new Date(clock.now()).toISOString(), reason: null };
      this.#backoff.reset();
      this.#reportPods();
      if (before !== 'applied') {
        const note = state === 'superseded' ? 'a newer proxy of this node owns the rules' : 'pod traffic is captured';
        log.info({ podCidrs: desired.podCidrs, bypass: desired.bypass.length, failOpen: desired.failOpen }, note);
        onChange();
      }
      return true;
    } catch (error) {
      return this.#fail(messageOf(error));
    }
  }

  /** One line for each pod that could not be redirected, and again when its reason changes. */
  #reportPods(): void {
    const failed = new Map<string, string>();
    for (const { namespace, addresses, state, reason } of this.#options.backend.pods()) {
      if (state !== 'failed' || reason === null) continue;
      failed.set(namespace, reason);
      if (this.#failedPods.get(namespace) === reason) continue;
      this.#options.log.warn({ addresses, namespace, reason }, 'a pod cannot be redirected: it is cut off');
    }
    const isOther = !isDeepStrictEqual(failed, this.#failedPods);
    this.#failedPods = failed;
    if (isOther) this.#options.onChange();
  }

  #fail(reason: string): false {
    const { log, onChange } = this.#options;
    if (this.#view.reason !== reason) log.error({ reason }, 'capture failed and is tried again');
    this.#view = { state: 'failed', verifiedAt: null, reason };
    onChange();
    return false;
  }
}
