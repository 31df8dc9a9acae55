// The first look at the Secret that has the issuer. The API server may be away when a controller starts, or its roles
// may come a moment later: that is waited for. Only a Secret that can never work ends the controller.
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { isMeshError, messageOf } from '../base/errors.ts';
import { failureOf } from '../kube/api/api-error.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RootSecret } from './root-secret.ts';

export interface AwaitIssuerOptions {
  readonly secret: Pick<RootSecret, 'fetch' | 'title'>;
  readonly clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly log: Logger;
  /** Called with what is waited for, at each failure. */
  readonly waits: (what: string) => void;
}

const firstMs = 500;
const capMs = 10_000;
/** Said again from time to time: the first line of a long wait may have been missed. */
const sayAgainMs = 60_000;

/** Resolves when the folder is as the Secret is. Throws CONFIG_INVALID for a Secret that is no issuer. */
export async function awaitIssuer({ secret, clock, random, log, waits }: AwaitIssuerOptions): Promise<void> {
  const backoff = new Backoff({ firstMs, capMs, jitter: 0.5, random });
  let said = { reason: '', atMs: 0 };
  for (;;) {
    try {
      await secret.fetch(clock.now());
      if (said.reason !== '') log.info({ secret: secret.title }, 'the issuer can be read');
      return;
    } catch (error) {
      if (isMeshError(error) && error.code === 'CONFIG_INVALID') throw error;
      const reason = messageOf(error);
      const nowMs = clock.now();
      if (reason !== said.reason || nowMs - said.atMs >= sayAgainMs) {
        log.error(
          { secret: secret.title, reason, ...fixOf(error) },
          'the issuer cannot be read yet; it is tried again',
        );
        said = { reason, atMs: nowMs };
      }
      waits(`the issuer cannot be read from ${secret.title} yet; the log says why`);
      const delayMs = Math.max(backoff.next(), (failureOf(error)?.retryAfterMs ?? 0) * (1 + 0.1 * random()));
      await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
    }
  }
}

/** What to do about it, where the API server answered, and no. */
function fixOf(error: unknown): { readonly fix?: string } {
  switch (failureOf(error)?.status) {
    case 401:
      return { fix: 'see that the API server takes the token of this controller' };
    case 403:
      return { fix: 'give its service account get and create for secrets in that namespace' };
    case 404:
      return { fix: 'make the namespace' };
    default:
      return {};
  }
}
