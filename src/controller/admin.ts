// What the controller tells over plain HTTP: status and mesh on the loopback admin port, metrics, readiness.
import { MeshError } from '../base/errors.ts';
import type { MeshView, StatusView } from '../model/views.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { json, type Routes, text } from '../telemetry/metrics-server.ts';

const levels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** The routes of the admin port: JSON of `StatusView` and `MeshView`, and the log level. */
export function adminRoutes(controller: { status(): StatusView; mesh(): MeshView }, log: Logger): Routes {
  const routes: Routes = {
    'GET /': () => text(200, `${Object.keys(routes).join('\n')}\n`),
    'GET /status': () => json(controller.status()),
    'GET /mesh': () => json(controller.mesh()),
    'POST /logging': (url) => {
      const level = url.searchParams.get('level') ?? '';
      if (!levels.includes(level))
        throw new MeshError('USAGE', { reason: `level must be one of ${levels.join(', ')}` });
      log.level = level;
      log.info({ level }, 'the log level was changed');
      return json({ level });
    },
  };
  return routes;
}

/** The route of the metrics port, in the text format of Prometheus. */
export function metricsRoutes(metrics: ControllerMetrics): Routes {
  return {
    'GET /metrics': async () => {
      const { contentType, text: body } = await metrics.scrape();
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
