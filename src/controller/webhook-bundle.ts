// Keeps the ValidatingWebhookConfiguration in step with the authority: `caBundle` holds the roots that verify the
// webhook, those of a rotation that is under way included. Whoever takes it away finds it back.
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { isMapping } from '../kube/object-reader.ts';
import { fieldManager } from '../kube/status-writer.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { LeaderJob } from './cluster-writes.ts';

export interface WebhookBundleOptions {
  readonly api: ApiClient;
  /** Of the configuration. */
  readonly name: string;
  readonly rootsPem: () => readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
}

const lookMs = 5_000;
const requestTimeoutMs = 5_000;
type Fields = Readonly<Record<string, unknown>>;

/** Looks while it is on. */
export class WebhookBundle implements LeaderJob {
  readonly #options: WebhookBundleOptions;
  readonly #path: string;
  #isOn = false;
  #complaint = '';
  #cancel: (() => void) | null = null;
  #working: Promise<void> | null = null;

  constructor(options: WebhookBundleOptions) {
    this.#options = options;
    this.#path = `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${options.name}`;
  }

  /** Begins to look, at once, or stops. */
  switch(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    this.#cancel?.();
    this.#cancel = null;
    if (isOn && this.#working === null) this.#turn();
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.switch(false);
    await this.#working;
  }

  #turn(): void {
    this.#working = this.#look().finally(() => {
      this.#working = null;
      if (this.#isOn) this.#cancel = this.#options.clock.after(lookMs, () => this.#turn());
    });
  }

  async #look(): Promise<void> {
    const { log, name } = this.#options;
    try {
      const changed = await this.#heal();
      if (changed) log.info({ configuration: name }, 'the webhook can be verified by the roots as they are');
      this.#complaint = '';
    } catch (error) {
      const isAbsent = failureOf(error)?.status === 404;
      const complaint = isAbsent ? 'it is not there: no object is judged before it is taken' : messageOf(error);
      if (complaint !== this.#complaint)
        log.warn({ configuration: name, reason: complaint }, 'cannot keep the webhook');
      this.#complaint = complaint;
    }
  }

  /** True when something was to be done. Throws what the client throws. */
  async #heal(): Promise<boolean> {
    const { api, name, rootsPem } = this.#options;
    const caBundle = Buffer.from(validRoots(rootsPem()).join('')).toString('base64');
    const object = fieldsOf(await api.json({ path: this.#path, timeoutMs: requestTimeoutMs }));
    const webhooks = Array.isArray(object['webhooks']) ? object['webhooks'].map(fieldsOf) : [];
    if (webhooks.every((one) => fieldsOf(one['clientConfig'])['caBundle'] === caBundle)) return false;
    const body = {
      apiVersion: object['apiVersion'] ?? 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: webhooks.map((one) => ({ name: one['name'], clientConfig: { caBundle } })),
    };
    const query = { fieldManager, force: 'true' };
    const contentType = 'application/apply-patch+yaml';
    await api.json({ method: 'PATCH', path: this.#path, query, contentType, body, timeoutMs: requestTimeoutMs });
    return true;
  }
}

/** One PEM each; what an API server cannot parse would make it refuse the whole object. */
function validRoots(rootsPem: readonly string[]): readonly string[] {
  return rootsPem.map((pem) => new X509Certificate(pem).toString());
}

function fieldsOf(value: unknown): Fields {
  return isMapping(value) ? value : {};
}
