// Versions and fields of APIs that will go: read as ever, and better written anew.
import type { Analyzer } from './analyzer.ts';
import { mappingOf } from './probes.ts';

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

/** Policies that name their target in the field that was there before the list. */
export const targetLists: Analyzer = (mesh, report) => {
  for (const policy of (['AuthorizationPolicy', 'RequestAuthentication'] as const).flatMap((kind) => mesh.of(kind))) {
    const spec = mappingOf(policy.raw['spec']);
    if (spec['targetRef'] === undefined) continue;
    const path = ['spec', 'targetRef'];
    const isAlone = spec['targetRefs'] === undefined;
    const fix = isAlone ? 'write it as the one element of targetRefs' : 'write it as one more element of targetRefs';
    const change = isAlone ? ({ kind: 'list', path, to: 'targetRefs' } as const) : null;
    report(policy, 'AMB1035', path, 'targetRef is the old field for one target', fix, change);
  }
};
