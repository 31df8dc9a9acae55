// Routes that nobody obeys: what they ask for is done by a waypoint, and where none stands it is not done.

import { fullHost, serviceIdOf } from '../model/routes/hosts.ts';
import { isWaypoint } from '../model/waypoints.ts';
import type { Analyzer } from './analyzer.ts';

/** Routes, rules and policies for services without a waypoint. */
export const routesWithoutWaypoint: Analyzer = (mesh, report) => {
  const { clusterDomain } = mesh.options;
  const isBare = (id: string): boolean => mesh.service(id)?.waypoint === null;
  const fix =
    'add a waypoint: ambientctl waypoint apply, and label the service or its namespace ambient.mesh/use-waypoint';
  for (const route of mesh.gatewayRoutes()) {
    for (const [at, { group, kind, namespace, name }] of route.parents.entries()) {
      if (group !== '' || kind !== 'Service' || !isBare(`${namespace}/${name}`)) continue;
      const message = `has no effect: no waypoint stands before Service ${namespace}/${name}`;
      report(route, 'AMB1013', ['spec', 'parentRefs', at], message, fix);
    }
  }
  for (const virtual of mesh.of('VirtualService')) {
    for (const [at, host] of virtual.hosts.entries()) {
      const id = serviceIdOf(fullHost(host, virtual.namespace, clusterDomain), clusterDomain);
      if (id === null || !isBare(id) || !virtual.gateways.includes('mesh')) continue;
      report(virtual, 'AMB1013', ['spec', 'hosts', at], `has no effect: no waypoint stands before Service ${id}`, fix);
    }
  }
  for (const rule of mesh.of('DestinationRule')) {
    const id = serviceIdOf(fullHost(rule.host, rule.namespace, clusterDomain), clusterDomain);
    if (id === null || !isBare(id)) continue;
    report(rule, 'AMB1013', ['spec', 'host'], `has no effect: no waypoint stands before Service ${id}`, fix);
  }
};

/** Two VirtualServices for one host: the older one is obeyed first, the rules of the other come after (IST0109). */
export const twiceRouted: Analyzer = (mesh, report) => {
  const first = new Map<string, string>();
  for (const virtual of mesh.of('VirtualService')) {
    if (virtual.gateways.length > 0 && !virtual.gateways.includes('mesh')) continue;
    for (const [at, host] of virtual.hosts.entries()) {
      const full = fullHost(host, virtual.namespace, mesh.options.clusterDomain);
      const title = `${virtual.namespace}/${virtual.name}`;
      const other = first.get(full);
      if (other === undefined) first.set(full, title);
      else {
        const message = `host ${host} is in VirtualService ${other} too: whose rules come first is a matter of age`;
        report(virtual, 'AMB1014', ['spec', 'hosts', at], message, 'write one VirtualService for a host');
      }
    }
  }
};

/** A waypoint named as a gateway of a VirtualService: what is for the mesh is for `mesh` (IST0165). */
export const waypointsAsGateways: Analyzer = (mesh, report) => {
  const waypoints = new Set(
    mesh.of('Gateway').flatMap((one) => (isWaypoint(one) ? [`${one.namespace}/${one.name}`] : [])),
  );
  for (const virtual of mesh.of('VirtualService')) {
    for (const [at, gateway] of virtual.gateways.entries()) {
      const id = gateway.includes('/') ? gateway : `${virtual.namespace}/${gateway}`;
      if (gateway === 'mesh' || !waypoints.has(id)) continue;
      const message = `${gateway} is a waypoint, and a VirtualService is no route of its Gateway: this entry says nothing`;
      report(virtual, 'AMB1031', ['spec', 'gateways', at], message, 'write mesh, or leave gateways out');
    }
  }
};
