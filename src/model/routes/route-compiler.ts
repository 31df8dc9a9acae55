// From resources about HTTP to tables of routes, statuses and findings: pure and incremental, as the compiler around
// it.

import { hostnameOf } from '../compile-service.ts';
import type { ObjectStatus } from '../conditions.ts';
import { IssueList } from '../issues.ts';
import { OutputTable } from '../output-table.ts';
import type { Labels, ServiceResource } from '../resources.ts';
import type { GatewayRouteResource, ReferenceGrantResource, RouteResource } from '../route-resources.ts';
import type { ServiceRoutes } from '../route-types.ts';
import type { ResourceIssue } from '../types.ts';
import { compileTable } from './compile-table.ts';
import { type CompiledRules, compileGatewayRules } from './gateway-rules.ts';
import { gatewayStatus } from './gateway-status.ts';
import { destinationRuleStatus, policyStatus } from './own-status.ts';
import { RouteScope } from './route-scope.ts';
import { parentServices, RouteStore, type RouteStoreOptions } from './route-store.ts';
import { SelectedPods } from './selected-pods.ts';
import { virtualStatus } from './virtual-status.ts';

export interface RouteCompilerOptions extends RouteStoreOptions {
  /** Takes the findings about one object, `KIND/NAMESPACE/NAME`; none for one that is gone. */
  readonly report: (objectId: string, issues: readonly ResourceIssue[]) => void;
}

/** Compiles what changed about routes. */
export class RouteCompiler {
  readonly #options: RouteCompilerOptions;
  readonly #store: RouteStore;
  readonly #pods = new SelectedPods();
  readonly #tables = new OutputTable<ServiceRoutes>();
  readonly #statuses = new Map<string, ObjectStatus>();
  readonly #gateway = new Map<string, { readonly route: GatewayRouteResource; readonly rules: CompiledRules }>();

  constructor(options: RouteCompilerOptions, services: ReadonlyMap<string, ServiceResource>) {
    this.#options = options;
    this.#store = new RouteStore(options, services);
  }

  upsert(resource: RouteResource): void {
    this.#store.upsert(resource);
  }

  delete(kind: RouteResource['kind'], namespace: string, name: string): void {
    this.#store.delete(kind, namespace, name);
  }

  /** The Service `NAMESPACE/NAME` came, changed or went. */
  touchService(id: string): void {
    this.#store.touchService(id);
  }

  /** A pod came, changed or went; `services` are those that select it now. */
  touchPod(podId: string, services: () => Iterable<string>): void {
    // Without rules nobody asks for pods; with the first rule of a service its pods are touched.
    if (this.#store.destinationRules.size === 0) return;
    for (const id of this.#pods.note(podId, [...services()])) this.#store.touchPods(id);
  }

  /** The Gateway `NAMESPACE/NAME` came, changed or went. */
  touchGateway(id: string): void {
    this.#store.touchGateway(id);
  }

  /** The findings about an object as if it were among the present ones, instead of what has its name. */
  findingsAbout(resource: RouteResource): readonly ResourceIssue[] {
    return this.#store.whileThere(resource, () => {
      const list = new IssueList(resource);
      const scope = new RouteScope(this.#store);
      switch (resource.kind) {
        case 'HTTPRoute':
        case 'GRPCRoute':
          gatewayStatus(resource, compileGatewayRules(resource, scope, list), scope, list);
          break;
        case 'ReferenceGrant':
          break;
        default:
          statusOf(resource, scope, list);
      }
      return list.issues;
    });
  }

  /** `NAMESPACE/NAME` of the routes of a kind. */
  namesOf(kind: 'VirtualService' | 'HTTPRoute' | 'GRPCRoute'): string[] {
    const all = kind === 'VirtualService' ? this.#store.virtualServices : this.#store.routes;
    const prefix = `${kind}/`;
    return [...all.keys()].flatMap((id) => (id.startsWith(prefix) ? [id.slice(prefix.length)] : []));
  }

  /** Compiles what changed since the last call. */
  flush(): { readonly changed: readonly ServiceRoutes[]; readonly removed: readonly string[] } {
    const dirty = [...this.#store.takeDirty()];
    for (const unit of dirty) if (unit.startsWith('object ')) this.#compileObject(unit);
    const tables = new Set([...dirty, ...this.#store.takeDirty()]);
    for (const unit of tables) if (unit.startsWith('service ')) this.#compileTable(unit);
    return this.#tables.take();
  }

  /** Of a workload's labels, those that waypoints have to know; null for none. */
  wantedLabels(labels: Labels, serviceIds: Iterable<string>): Labels | null {
    return this.#store.wantedLabels.pick(labels, serviceIds, this.#store);
  }

  tables(): Iterable<ServiceRoutes> {
    return this.#tables.values();
  }

  /** What became of each object that has conditions. */
  statuses(): Iterable<ObjectStatus> {
    return this.#statuses.values();
  }

  #compileObject(unit: string): void {
    const id = unit.slice('object '.length);
    const scope = new RouteScope(this.#store);
    const route = this.#store.routes.get(id);
    if (route !== undefined) this.#compileGateway(id, route, scope);
    else {
      this.#gateway.delete(id);
      this.#compileOther(id, scope);
    }
    this.#store.dependencies.set(unit, scope.keys());
  }

  /** Objects that are compiled with the tables they have a part in: here their findings and conditions. */
  #compileOther(id: string, scope: RouteScope): void {
    const store = this.#store;
    const object = store.virtualServices.get(id) ?? store.destinationRules.get(id) ?? store.policies.get(id);
    if (object === undefined) {
      this.#statuses.delete(id);
      this.#options.report(id, []);
      return;
    }
    const list = new IssueList(object);
    this.#statuses.set(id, statusOf(object, scope, list));
    this.#options.report(id, list.issues);
  }

  #compileGateway(id: string, route: GatewayRouteResource, scope: RouteScope): void {
    const list = new IssueList(route);
    const rules = compileGatewayRules(route, scope, list);
    this.#gateway.set(id, { route, rules });
    this.#statuses.set(id, gatewayStatus(route, rules, scope, list));
    this.#options.report(id, list.issues);
    for (const serviceId of parentServices(route)) this.#store.touchTable(serviceId);
  }

  #compileTable(unit: string): void {
    const id = unit.slice('service '.length);
    const service = this.#store.services.get(id);
    const scope = new RouteScope(this.#store);
    const table = service === undefined ? null : compileTable(service, scope, (routeId) => this.#gateway.get(routeId));
    const [namespace = '', name = ''] = id.split('/');
    this.#tables.set(`${namespace}/${hostnameOf(namespace, name, this.#options.clusterDomain)}`, table);
    // A service with nothing of its own is found by what names it.
    this.#store.dependencies.set(unit, table === null ? null : scope.keys());
  }
}

type OtherResource = Exclude<RouteResource, GatewayRouteResource | ReferenceGrantResource>;

/** Conditions of what is compiled with the tables that it has a part in; what is found goes to `list`. */
function statusOf(object: OtherResource, scope: RouteScope, list: IssueList): ObjectStatus {
  if (object.kind === 'VirtualService') return virtualStatus(object, scope, list);
  if (object.kind === 'DestinationRule') return destinationRuleStatus(object, scope, list);
  return policyStatus(object, scope, list);
}
