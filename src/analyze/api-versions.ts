// Versions of the API that will go: read as ever, and better written anew.
import type { Analyzer } from './analyzer.ts';

const kinds = [
  'VirtualService',
  'DestinationRule',
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
  'Gateway',
] as const;

/** Objects of a version before v1. */
export const apiVersions: Analyzer = (mesh, report) => {
  for (const resource of [...kinds.flatMap((kind) => mesh.of(kind)), ...mesh.gatewayRoutes()]) {
    const [group = '', version = ''] = resource.apiVersion.split('/');
    if (version === 'v1' || version === '') continue;
    const path = ['apiVersion'];
    const message = `${resource.apiVersion} is an old version of ${group}`;
    const change = { kind: 'value', path, from: version, to: 'v1' } as const;
    report(resource, 'AMB1016', path, message, `write ${group}/v1`, change);
  }
};
