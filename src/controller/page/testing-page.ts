// For tests: a mesh in small, flows in it, and what the graph makes of them.

import type { GraphView } from '../../model/page-views.ts';
import { serviceOf, workloadOf } from '../../model/testing-mesh.ts';
import type { MeshView } from '../../model/views.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { requestFlow, tunnelFlow } from '../../telemetry/testing-flows.ts';
import { FlowWindow } from './flow-window.ts';
import { type GraphSources, graphView } from './graph-view.ts';
import { MeshMap } from './mesh-map.ts';

export const nowMs = Date.parse('2026-01-02T03:04:10.000Z');

const key = (name: string): string => `shop/${name}.shop.svc.cluster.local`;
const pod = (service: string, at: number) =>
  workloadOf(`shop/${service}-${at}`, { workloadName: service, services: { [key(service)]: [] }, node: 'node-1' });

/** web, cart and a waypoint in `shop`; a client outside the mesh in `legacy`. */
export const smallMesh: MeshView = {
  workloads: [
    pod('web', 1),
    pod('cart', 1),
    pod('cart', 2),
    workloadOf('shop/waypoint-1', {
      workloadName: 'waypoint',
      nativeTunnel: true,
      services: { [key('waypoint')]: [] },
    }),
    workloadOf('legacy/client-1', { workloadName: 'client', tunnelProtocol: 'NONE' }),
  ],
  services: ['web', 'cart', 'waypoint'].map((name) => serviceOf(`shop/${name}`)),
  policies: [],
  revocations: [],
  routes: [],
};

/** A request from web to a pod of cart, `atMs` before now. */
export function request(change: Parameters<typeof requestFlow>[0] & { readonly pod?: string } = {}): FlowView {
  const { pod: name = 'cart-1', ...rest } = change;
  const well = { status: 200, attempts: 1, durationMs: 10 };
  const flow = requestFlow({ ...well, ...rest });
  return { ...flow, destination: { ...flow.destination, workload: name } };
}

/** The same connection as the proxies of its source and of its destination tell it. */
export function bothEnds(change: Parameters<typeof tunnelFlow>[0] = {}): readonly FlowView[] {
  const flow = tunnelFlow(change);
  return [flow, { ...flow, direction: 'outbound', reporter: { ...flow.reporter, name: 'node-1' } }];
}

/** The graph of a mesh in which these flows came, in this order. */
export function graphOf(
  flows: readonly FlowView[],
  change: Partial<GraphSources> = {},
  mesh: MeshView = smallMesh,
): GraphView {
  return graphView(sourcesOf(flows, change, mesh));
}

/** What the graph of `graphOf` is made from. */
export function sourcesOf(
  flows: readonly FlowView[],
  change: Partial<GraphSources> = {},
  mesh: MeshView = smallMesh,
): GraphSources {
  const map = new MeshMap(mesh);
  const window = new FlowWindow(nowMs - 120_000);
  for (const flow of flows) {
    const place = map.placeOf(flow);
    if (place !== null) window.add(flow, place, nowMs);
  }
  return {
    ...{ map, window, live: new Map(), ejected: [], refusing: [], proxiesDown: new Map(), nowMs },
    heard: { proxies: 1, silent: [] },
    strictFor: () => null,
    ...change,
  };
}
