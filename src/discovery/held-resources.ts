// What a proxy holds, by type and name with versions: turns a response into a change of the mesh, and remembers of it
// what was applied, so that the next stream can begin with differences only.
import { messageOf } from '../base/errors.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import type { MeshUpdate, NodeNetwork, Policy, Revocation, Service, Workload } from '../model/types.ts';
import { closedRoutes } from './convert-routes.ts';
import type { DeltaDiscoveryResponse, Resource } from './generated/ads_pb.ts';
import type { RefusedResource } from './refusals.ts';
import { decodeResource, standInFor, typeUrls } from './resources.ts';

/** Type URL → resource name → version. Plain data, as it is kept on disk. */
export type HeldVersions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The version of a stand-in: no content has it, so the controller always sends the resource again, or its removal. */
const standInVersion = 'stand-in';
/** What of these cannot be read denies; routes have the policies of their service. */
const closedTypes: readonly string[] = [typeUrls.authorization, typeUrls.routes];

/** The versions that a proxy holds; the resources themselves are with whoever applies them. */
export class HeldResources {
  readonly #types = new Map<string, Map<string, string>>();

  constructor(held: HeldVersions) {
    for (const [typeUrl, versions] of Object.entries(held)) this.#types.set(typeUrl, new Map(Object.entries(versions)));
  }

  /**
   * The change that `response` makes, and what of it could not be read. A policy that could not be read and that we
   * hold no earlier version of is in the change as a stand-in that denies, and so are routes: unknown never widens
   * access. Of a revocation the earlier version stays in force.
   */
  decode(response: DeltaDiscoveryResponse): {
    readonly update: MeshUpdate;
    readonly refused: readonly RefusedResource[];
  } {
    const workloads: Workload[] = [];
    const services: Service[] = [];
    const policies: Policy[] = [];
    const revocations: Revocation[] = [];
    const routes: ServiceRoutes[] = [];
    const nodes: NodeNetwork[] = [];
    const refused: RefusedResource[] = [];
    const { typeUrl, removedResources } = response;
    const isPolicies = typeUrl === typeUrls.authorization;
    for (const resource of response.resources) {
      try {
        const decoded = decodeResource(response.typeUrl, resource);
        if (decoded.kind === 'workload') workloads.push(decoded.value);
        else if (decoded.kind === 'service') services.push(decoded.value);
        else if (decoded.kind === 'policy') policies.push(decoded.value);
        else if (decoded.kind === 'routes') routes.push(decoded.value);
        else if (decoded.kind === 'node') nodes.push(decoded.value);
        else revocations.push(decoded.value);
      } catch (error) {
        refused.push({ resource: resource.name, reason: messageOf(error) });
        if (!this.#needsStandIn(typeUrl, resource)) continue;
        if (isPolicies) policies.push(standInFor(resource));
        else if (typeUrl === typeUrls.routes) routes.push(closedRoutes(resource.name));
      }
    }
    const update: MeshUpdate = {
      workloads,
      services,
      policies,
      removedAddresses: typeUrl === typeUrls.address ? removedResources : [],
      removedPolicies: isPolicies ? removedResources : [],
      revocations,
      removedRevocations: typeUrl === typeUrls.revocation ? removedResources : [],
      routes,
      removedRoutes: typeUrl === typeUrls.routes ? removedResources : [],
      nodes,
      removedNodes: typeUrl === typeUrls.nodes ? removedResources : [],
      complete: false,
    };
    return { update, refused };
  }

  /** Remembers what of `response` is in use now: all but `refused`, which keep the version that they had. */
  accept(response: DeltaDiscoveryResponse, refused: readonly RefusedResource[]): void {
    const versions = this.#versions(response.typeUrl);
    const bad = new Set(refused.map(({ resource }) => resource));
    for (const { name, version } of response.resources) {
      if (!bad.has(name)) versions.set(name, version);
      else if (closedTypes.includes(response.typeUrl) && !versions.has(name)) versions.set(name, standInVersion);
    }
    for (const name of response.removedResources) versions.delete(name);
  }

  versionsOf(typeUrl: string): Record<string, string> {
    return Object.fromEntries(this.#versions(typeUrl));
  }

  versions(): HeldVersions {
    return Object.fromEntries([...this.#types.keys()].map((typeUrl) => [typeUrl, this.versionsOf(typeUrl)]));
  }

  #needsStandIn(typeUrl: string, resource: Resource): boolean {
    const held = this.#versions(typeUrl).get(resource.name);
    return held === undefined || held === standInVersion;
  }

  #versions(typeUrl: string): Map<string, string> {
    let versions = this.#types.get(typeUrl);
    if (versions === undefined) {
      versions = new Map();
      this.#types.set(typeUrl, versions);
    }
    return versions;
  }
}
