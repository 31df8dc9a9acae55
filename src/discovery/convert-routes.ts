// Routes between the model and the wire: JSON in a message of our own, since both ends are ours.
import { create } from '@bufbuild/protobuf';
import type { ServiceRoutes } from '../model/route-types.ts';
import { noRoutes } from '../model/routes/route-defaults.ts';
import type { Policy } from '../model/types.ts';
import { refuse } from './enums.ts';
import { type ServiceRoutes as RoutesMessage, ServiceRoutesSchema } from './generated/routes_pb.ts';

/** The wire message of a service's routes. */
export function routesMessage(routes: ServiceRoutes): RoutesMessage {
  return create(ServiceRoutesSchema, { json: Buffer.from(JSON.stringify(routes)) });
}

/** The routes of a wire message. Throws RESOURCE_REFUSED for what is not understood. */
export function routesOf(message: RoutesMessage): ServiceRoutes {
  const unknown = message.$unknown?.[0];
  if (unknown !== undefined) throw refuse('routes', `field ${unknown.no} is not known here`);
  const value: unknown = JSON.parse(Buffer.from(message.json).toString('utf8'));
  if (!isRoutes(value)) throw refuse('routes', 'they have not the shape of routes');
  return value;
}

/** Routes for a service whose own cannot be read: their policies are not known, so nobody is let in. */
export function closedRoutes(service: string): ServiceRoutes {
  const namespace = service.slice(0, Math.max(service.indexOf('/'), 0));
  const policies: readonly Policy[] = [
    { name: 'unreadable', namespace, scope: 'workload', action: 'deny', rules: [{ clauses: [] }], dryRun: false },
  ];
  return { ...noRoutes(service), policies };
}

/**
 * The shape as far as a wrong one would break who reads it; what is inside of rules was checked when it was compiled.
 */
function isRoutes(value: unknown): value is ServiceRoutes {
  const routes = value as Partial<Record<keyof ServiceRoutes, unknown>> | null;
  return (
    typeof routes === 'object' &&
    routes !== null &&
    typeof routes.service === 'string' &&
    isDestination(routes.destination) &&
    Array.isArray(routes.otherDestinations) &&
    routes.otherDestinations.every(isDestination) &&
    Array.isArray(routes.ports) &&
    routes.ports.every(isPort)
  );
}

function isPort(value: unknown): boolean {
  const port = value as { port?: unknown; rules?: unknown; entries?: unknown } | null;
  if (typeof port?.port !== 'number' || !Array.isArray(port.rules) || !Array.isArray(port.entries)) return false;
  const { rules } = port;
  return port.entries.every((entry: { rule?: unknown } | null) => rules[Number(entry?.rule)] !== undefined);
}

function isDestination(value: unknown): boolean {
  const destination = value as { service?: unknown; policy?: unknown; subsets?: unknown } | null;
  return (
    typeof destination?.service === 'string' &&
    typeof destination.policy === 'object' &&
    Array.isArray(destination.subsets)
  );
}
