// The listener of the live page: read-only, apart from the admin port, which may change things. What browsers are told
// comes from `PageSources`; what they load from `page-assets.ts`.
import type { ControllerConfig } from '../../config/controller.ts';
import { pagePaths } from '../../model/page-views.ts';
import { type Routes, SimpleServer, type TlsCredentials, text } from '../../telemetry/metrics-server.ts';
import { type PageAsset, readPageAssets } from './page-assets.ts';
import { pageGate } from './page-gate.ts';

export interface PageServerOptions {
  readonly page: ControllerConfig['page'];
  readonly port: number;
  /** Null speaks HTTP. */
  readonly credentials: TlsCredentials | null;
}

/** Browsers at once, with six connections each. */
const connectionsMax = 192;
/** A browser that has been put to sleep comes back by itself. */
const stalledMs = 60_000;
const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** Serves from `start` to `close`. */
export class PageServer {
  readonly #server: SimpleServer;
  #assets: ReadonlyMap<string, PageAsset> | null = null;

  constructor({ page, port, credentials }: PageServerOptions) {
    this.#server = new SimpleServer({
      host: page.host,
      port,
      routes: this.#routes(),
      connectionsMax,
      stalledMs,
      guard: pageGate(page),
      headers: securityHeaders,
      ...(credentials === null ? {} : { credentials }),
    });
  }

  /** Listens; returns the bound port. Throws NOT_REACHABLE when it cannot be had. */
  start(): Promise<number> {
    return this.#server.start();
  }

  /** New connections get `credentials`. */
  setCredentials(credentials: TlsCredentials): void {
    this.#server.setCredentials(credentials);
  }

  /** Ends what is open. Idempotent. */
  close(): Promise<void> {
    return this.#server.close();
  }

  #routes(): Routes {
    const asset = ({ pathname }: URL) => {
      this.#assets ??= readPageAssets();
      const found = this.#assets.get(pathname);
      return found === undefined ? text(404, 'there is no such file\n') : { status: 200, ...found };
    };
    return { [`GET ${pagePaths.page}`]: asset, [`GET ${pagePaths.assets}*`]: asset };
  }
}
