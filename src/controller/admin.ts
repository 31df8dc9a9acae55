// What the controller tells over plain HTTP: status and mesh on the loopback admin port, metrics, readiness.
import { MeshError } from '../base/errors.ts';
import type { ObserveServer } from '../discovery/observe-server.ts';
import { pageOnAdmin } from '../model/page-views.ts';
import type { CertificatesView, EventListView, MeshView, StatusView } from '../model/views.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import { loggingRoutes } from '../telemetry/log-level.ts';
import type { Logger } from '../telemetry/logger.ts';
import { json, type Routes, text } from '../telemetry/metrics-server.ts';
import { askProxy, flowsOfAll, proxiesView } from './observed-proxies.ts';
import type { Page } from './page/page.ts';

/** The routes of the admin port: JSON of `StatusView` and `MeshView`, the live page, and the log level. */
export function adminRoutes(
  controller: { status(): StatusView; mesh(): MeshView; certificates(): CertificatesView; events(): EventListView },
  page: Pick<Page, 'answer'> | null,
  observed: Pick<ObserveServer, 'proxies'>,
  log: Logger,
): Routes {
  const configuredLevel = log.level;
  const routes: Routes = {
    'GET /': () => text(200, `${Object.keys(routes).join('\n')}\n`),
    'GET /status': () => json(controller.status()),
    'GET /mesh': () => json(controller.mesh()),
    'GET /events': () => json(controller.events()),
    'GET /certificates': () => json(controller.certificates()),
    'GET /proxies': () => json(proxiesView(observed)),
    'GET /proxies/*': (url, signal) => askProxy(observed, 'GET', url, signal),
    'POST /proxies/*': (url, signal) => askProxy(observed, 'POST', url, signal),
    'GET /flows': (url, signal) => flowsOfAll(observed, url, signal),
    [`GET ${pageOnAdmin}/*`]: ({ pathname, search }, signal) => {
      if (page !== null) return page.answer(`${pathname.slice(pageOnAdmin.length)}${search}`, signal);
      const hint = 'page.enabled is false in the configuration of this controller';
      throw new MeshError('NOT_FOUND', { what: 'the live page', hint });
    },
    ...loggingRoutes({
      current: () => log.level,
      configured: () => configuredLevel,
      set: (level) => {
        log.level = level;
        log.info({ level }, 'the log level was changed');
      },
    }),
  };
  return routes;
}

/** The route of the metrics port, in the text format of Prometheus, or of OpenMetrics. */
export function metricsRoutes(metrics: ControllerMetrics): Routes {
  return {
    'GET /metrics': async (_url, _signal, accept) => {
      const { contentType, text: body } = await metrics.scrape(accept);
      return { status: 200, contentType, body };
    },
  };
}

/** `pending` says what is still waited for; nothing means ready. */
export function readinessRoutes(pending: () => readonly string[]): Routes {
  return {
    'GET /healthz/live': () => text(200, 'live\n'),
    'GET /healthz/ready': () => {
      const waiting = pending();
      return waiting.length === 0 ? text(200, 'ready\n') : text(503, `${waiting.join('\n')}\n`);
    },
  };
}
