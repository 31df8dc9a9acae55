// From Gateways to what is made for them: which are ours by their class, what their authors have chosen, which objects
// follow from that, and what their statuses say of it. Every replica decides; only the one that leads writes.
import { messageOf } from '../base/errors.ts';
import { gatewayClassName, rootsName } from '../install/parts.ts';
import { rootsSet, systemLabel } from '../install/roots-object.ts';
import { type WaypointSettings, waypointObjects } from '../install/waypoint-objects.ts';
import { readWaypointParameters, type WaypointParameters } from '../install/waypoint-parameters.ts';
import type { KubeObject } from '../kube/api/prune.ts';
import { isSealed } from '../kube/in-order.ts';
import type { ObjectKeeper, ObjectSet, SetOwner } from '../kube/object-keeper.ts';
import { isMapping } from '../kube/object-reader.ts';
import type { ParameterMaps } from '../kube/parameter-maps.ts';
import { controllerOf, controllerUidOf, type WrittenObjects } from '../kube/written-objects.ts';
import { conditionOf, controllerName, type ObjectStatus } from '../model/conditions.ts';
import { type GatewayResource, resourceKey } from '../model/resources.ts';
import { isWaypoint } from '../model/waypoints.ts';
import { type Deployed, deployedStatus } from './waypoint-status.ts';

export interface WaypointDeployerOptions {
  /** Of the system. */
  readonly namespace: string;
  /** Null deploys none. */
  readonly settings: WaypointSettings | null;
  readonly there: WrittenObjects;
  readonly keeper: ObjectKeeper;
  readonly parameters: ParameterMaps;
}

/** What an author has chosen; or why nothing is made, or nothing new. */
type Choice =
  | { readonly parameters: WaypointParameters; readonly problem: null }
  | { readonly parameters: null; readonly problem: string; readonly isFinal: boolean };

interface Last {
  readonly gateway: GatewayResource;
  readonly parameters: string;
  readonly set: ObjectSet;
}

/** Decides anew at every `update`. */
export class WaypointDeployer {
  readonly #options: WaypointDeployerOptions;
  /** What was last wanted for a Gateway, by uid: it stays when its parameters cannot be read any more. */
  readonly #last = new Map<string, Last>();
  readonly #choices = new Map<string, Choice>();

  constructor(options: WaypointDeployerOptions) {
    this.#options = options;
  }

  /** Tells the keeper what there shall be. `rootsPem`: what verifies the mesh. */
  update(gateways: readonly GatewayResource[], rootsPem: readonly string[]): void {
    const { keeper, there, namespace, parameters } = this.#options;
    const ours = gateways.filter((one) => this.#isOurs(one));
    parameters.refer(new Set(ours.flatMap((one) => parametersId(one) ?? [])));
    const sets = new Map<string, ObjectSet>();
    this.#choices.clear();
    for (const gateway of ours) {
      const set = this.#setOf(gateway);
      if (set !== null) sets.set(gateway.uid, set);
    }
    for (const uid of this.#last.keys()) if (!sets.has(uid)) this.#last.delete(uid);
    // Known, and not of our class any more: what was made for it goes. One that is not known is left to the cluster's
    // own collector, since it may just not be readable.
    for (const gateway of gateways) {
      if (!ours.includes(gateway) && there.ofOwner(gateway.uid).length > 0 && this.#isClassKnown()) {
        sets.set(gateway.uid, { id: idOf(gateway), objects: [], isOurs: () => true, owner: ownerOf(gateway) });
      }
    }
    const deployed = [...there.ofKind('Deployment')].filter((one) => controllerOf(one)?.['kind'] === 'Gateway');
    const namespaces = new Set([namespace, ...ours.map((one) => one.namespace), ...deployed.map(namespaceOf)]);
    const roots = rootsSet(namespace, [...namespaces].sort(), rootsPem);
    keeper.want([roots, ...this.#classSet(), ...sets.values(), this.#staleRoots(namespaces)]);
  }

  /** The statuses with what is known of the deployment. */
  *statuses(statuses: Iterable<ObjectStatus>, gateways: readonly GatewayResource[]): Generator<ObjectStatus> {
    const byKey = new Map(gateways.map((gateway) => [resourceKey(gateway), gateway]));
    for (const status of statuses) {
      const gateway = status.kind === 'Gateway' ? byKey.get(resourceKey(status)) : undefined;
      if (gateway === undefined) yield status;
      else if (this.#isOurs(gateway)) yield deployedStatus(gateway, status, this.#deployed(gateway));
      // Another controller's class, another controller's words.
      else if (this.#classOf(gateway) === undefined) yield status;
    }
    for (const object of this.#options.there.ofKind('GatewayClass')) {
      if (!isClassOurs(object)) continue;
      const message = 'its Gateways become waypoints';
      const conditions = [conditionOf({ raw: { ...object } }, 'Accepted', true, 'Accepted', message)];
      yield { kind: 'GatewayClass', namespace: '', name: object.metadata.name, conditions, parents: [] };
    }
  }

  #isClassKnown(): boolean {
    return this.#options.there.isKnown('GatewayClass');
  }

  /** By its class, which says whose it is. */
  #isOurs(gateway: GatewayResource): boolean {
    if (!isWaypoint(gateway)) return false;
    const found = this.#classOf(gateway);
    if (found !== undefined) return isClassOurs(found);
    return gateway.gatewayClassName === gatewayClassName;
  }

  #classOf({ gatewayClassName: name }: GatewayResource): KubeObject | undefined {
    return this.#options.there.get(resourceKey({ kind: 'GatewayClass', namespace: '', name }));
  }

  #setOf(gateway: GatewayResource): ObjectSet | null {
    const { settings } = this.#options;
    if (settings === null || gateway.deletionTimestamp !== null) return null;
    const choice = this.#choiceOf(gateway);
    this.#choices.set(gateway.uid, choice);
    const last = this.#last.get(gateway.uid);
    if (choice.parameters === null) return last?.set ?? null;
    const text = JSON.stringify(choice.parameters);
    if (last?.gateway === gateway && last.parameters === text) return last.set;
    const set: ObjectSet = {
      id: idOf(gateway),
      objects: waypointObjects(gateway, settings, choice.parameters),
      isOurs: (object) => isOf(object, gateway),
      owner: ownerOf(gateway),
    };
    this.#last.set(gateway.uid, { gateway, parameters: text, set });
    return set;
  }

  #choiceOf(gateway: GatewayResource): Choice {
    const reference = gateway.infrastructure.parametersRef;
    if (reference === null) return { parameters: {}, problem: null };
    const { group, kind, name } = reference;
    const refused = (problem: string): Choice => ({ parameters: null, problem, isFinal: true });
    if (group !== '' || kind !== 'ConfigMap') {
      return refused(`infrastructure.parametersRef names a ${kind}; it takes {group: "", kind: ConfigMap, name: NAME}`);
    }
    const title = `ConfigMap ${gateway.namespace}/${name}`;
    const found = this.#options.parameters.get(`${gateway.namespace}/${name}`);
    if (found.what === 'absent') return refused(`${title} is not there`);
    if (found.what === 'unknown') {
      return { parameters: null, problem: `${title} cannot be read: ${found.reason}`, isFinal: false };
    }
    try {
      return { parameters: readWaypointParameters(found.data, title), problem: null };
    } catch (error) {
      return refused(messageOf(error));
    }
  }

  #deployed(gateway: GatewayResource): Deployed {
    const { there, keeper, settings } = this.#options;
    const { namespace, name } = gateway;
    const deployment = there.get(resourceKey({ kind: 'Deployment', namespace, name }));
    const isOwn = controllerUidOf(deployment) === gateway.uid;
    const status = isOwn && isMapping(deployment?.['status']) ? deployment['status'] : {};
    const choice = this.#choices.get(gateway.uid);
    return {
      isDeployed: settings !== null,
      refused: choice?.parameters === null && choice.isFinal ? choice.problem : null,
      waiting: choice?.parameters === null && !choice.isFinal ? choice.problem : null,
      problem: keeper.problemOf(idOf(gateway)),
      available: Number(status['availableReplicas'] ?? 0),
    };
  }

  /** Only where the kind is defined. */
  #classSet(): ObjectSet[] {
    if (this.#options.settings === null || !this.#isClassKnown()) return [];
    const metadata = { name: gatewayClassName, labels: { 'app.kubernetes.io/part-of': 'ambient' } };
    const spec = { controllerName, description: 'Waypoints of Ambient' };
    const objects = [{ kind: 'GatewayClass' as const, metadata, spec }];
    return [{ id: `GatewayClass ${gatewayClassName}`, objects, isOurs: isClassOurs, owner: null }];
  }

  /** Our ConfigMaps of roots where no waypoint is any more. */
  #staleRoots(namespaces: ReadonlySet<string>): ObjectSet {
    const { there, namespace } = this.#options;
    const stale = [...there.ofKind('ConfigMap')].filter((one) => {
      const labels = one.metadata.labels as Readonly<Record<string, unknown>> | undefined;
      const isOwn = one.metadata.name === rootsName && labels?.[systemLabel] === namespace;
      return isOwn && !namespaces.has(namespaceOf(one));
    });
    const extra = stale.map((one) => resourceKey({ kind: 'ConfigMap', namespace: namespaceOf(one), name: rootsName }));
    return { id: `ConfigMap ${rootsName}, left over`, objects: [], isOurs: () => true, owner: null, extra };
  }
}

function ownerOf({ apiVersion, namespace, name, uid }: GatewayResource): SetOwner {
  return { uid, path: `/apis/${apiVersion}/namespaces/${namespace}/gateways/${name}` };
}

function idOf({ namespace, name }: GatewayResource): string {
  return `Gateway ${namespace}/${name}`;
}

function parametersId({ namespace, infrastructure }: GatewayResource): string | null {
  const { parametersRef } = infrastructure;
  return parametersRef === null ? null : `${namespace}/${parametersRef.name}`;
}

function namespaceOf({ metadata }: KubeObject): string {
  return metadata.namespace ?? '';
}

function isClassOurs(object: KubeObject): boolean {
  return isMapping(object['spec']) && object['spec']['controllerName'] === controllerName;
}

/** Its own by its owner; or nobody's any more, and made by us at some time. */
function isOf(object: KubeObject, { uid }: GatewayResource): boolean {
  const owner = controllerUidOf(object);
  return owner === null ? isSealed(object) : owner === uid;
}
