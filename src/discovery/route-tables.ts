// The routes of services as the controller serves them: one table per waypoint, with the services that it stands before
// and no others.
import type { ServiceRoutes } from '../model/route-types.ts';
import type { MeshUpdate, NamespacedKey } from '../model/types.ts';
import { gatewayOfAddress } from '../model/waypoints.ts';
import { ResourceTable } from './resource-table.ts';
import { type EncodedResource, encodeRoutes } from './resources.ts';

/** Tables by waypoint, `NAMESPACE/NAME` of its Gateway. */
export class RouteTables {
  readonly #tables = new Map<NamespacedKey, ResourceTable>();
  readonly #routes = new Map<NamespacedKey, EncodedResource>();
  /** The waypoint of each service that has one. */
  readonly #waypoints = new Map<NamespacedKey, NamespacedKey>();
  /** The waypoint that these are for itself. */
  readonly #podsOf = new Map<NamespacedKey, NamespacedKey>();
  /** Where the routes of each service are now. */
  readonly #placed = new Map<NamespacedKey, NamespacedKey>();

  /** How many services have routes at a waypoint. */
  get size(): number {
    return this.#placed.size;
  }

  /** The table of a waypoint; an empty one, kept for later, where it stands before nothing. */
  of(waypoint: NamespacedKey): ResourceTable {
    const known = this.#tables.get(waypoint);
    if (known !== undefined) return known;
    const table = new ResourceTable();
    this.#tables.set(waypoint, table);
    return table;
  }

  /** Takes a change of the mesh; true when any table has changed. */
  update(update: MeshUpdate): boolean {
    const touched = new Set<NamespacedKey>();
    if (update.complete) this.#forgetAllBut(update, touched);
    for (const { namespace, hostname, waypoint } of update.services) {
      const key = `${namespace}/${hostname}`;
      const owner = waypoint === null ? null : gatewayOfAddress(waypoint);
      if (owner === null) this.#waypoints.delete(key);
      else this.#waypoints.set(key, owner);
      touched.add(key);
    }
    for (const key of update.removedAddresses) if (this.#waypoints.delete(key)) touched.add(key);
    for (const routes of update.routes ?? []) this.#put(routes, touched);
    for (const key of update.removedRoutes ?? []) if (this.#routes.delete(key)) touched.add(key);
    let hasChanged = false;
    for (const key of touched) hasChanged = this.#place(key) || hasChanged;
    return hasChanged;
  }

  #put(routes: ServiceRoutes, touched: Set<NamespacedKey>): void {
    this.#routes.set(routes.service, encodeRoutes(routes));
    if (routes.podsOf === undefined) this.#podsOf.delete(routes.service);
    else this.#podsOf.set(routes.service, routes.podsOf);
    touched.add(routes.service);
  }

  #forgetAllBut(update: MeshUpdate, touched: Set<NamespacedKey>): void {
    const routed = new Set((update.routes ?? []).map(({ service }) => service));
    const services = new Set(update.services.map(({ namespace, hostname }) => `${namespace}/${hostname}`));
    for (const key of [...this.#routes.keys()].filter((each) => !routed.has(each))) {
      this.#routes.delete(key);
      touched.add(key);
    }
    for (const key of [...this.#waypoints.keys()].filter((each) => !services.has(each))) {
      this.#waypoints.delete(key);
      touched.add(key);
    }
  }

  #place(key: NamespacedKey): boolean {
    const resource = this.#routes.get(key);
    const before = this.#placed.get(key);
    const now = resource === undefined ? undefined : (this.#podsOf.get(key) ?? this.#waypoints.get(key));
    if (resource === undefined) this.#podsOf.delete(key);
    let hasChanged = false;
    if (before !== undefined && before !== now) {
      this.#placed.delete(key);
      hasChanged = this.of(before).remove(key);
    }
    if (now === undefined || resource === undefined) return hasChanged;
    this.#placed.set(key, now);
    return this.of(now).upsert(resource) || hasChanged;
  }
}
