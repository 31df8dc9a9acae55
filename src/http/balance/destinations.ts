// Every destination of a thread, made when it is first asked for and kept in step with the mesh.
import type { MeshIndex } from '../../model/mesh-index.ts';
import type { DestinationPolicy, Destination as DestinationRules } from '../../model/route-types.ts';
import type { NamespacedKey, Workload } from '../../model/types.ts';
import { Destination, type DestinationEvents, type DestinationView } from './destination.ts';

export interface DestinationsOptions extends DestinationEvents {
  readonly index: Pick<MeshIndex, 'serviceByKey' | 'endpointsOf'>;
  /** How a service is called; null where nobody said anything about it. The same object until it changes. */
  readonly rulesOf: (service: NamespacedKey) => DestinationRules | null;
  /** For destinations without rules. */
  readonly defaultPolicy: DestinationPolicy;
  /** Labels of a workload, for subsets. */
  readonly labelsOf: (workload: Workload) => Readonly<Record<string, string>>;
  /** The waypoint's own workload; null while it is unknown. */
  readonly self: () => Workload | null;
  readonly random: () => number;
}

/** Holds the destinations. */
export class Destinations {
  readonly #options: DestinationsOptions;
  readonly #byService = new Map<NamespacedKey, readonly Destination[]>();

  constructor(options: DestinationsOptions) {
    this.#options = options;
  }

  /**
   * The destination as the mesh is now; null when there is no such service or subset. The same object as long as the
   * service is there. Cheap when nothing has changed.
   */
  of(service: NamespacedKey, port: number, subset: string, nowMs: number): Destination | null {
    const { index, rulesOf, defaultPolicy, self, random } = this.#options;
    const found = index.serviceByKey(service);
    if (found === null) return null;
    const rules = rulesOf(service);
    const part = subset === '' ? null : (rules?.subsets.find((one) => one.name === subset) ?? null);
    if (subset !== '' && part === null) return null;
    const source = part ?? rules;
    const own = source === null || source.portPolicies.length === 0 ? null : policyOfPort(source.portPolicies, port);
    const policy = own ?? source?.policy ?? defaultPolicy;
    const endpoints = index.endpointsOf(service);
    const here = self();
    const known = this.#find(service, port, subset);
    if (known?.isOf(found, endpoints, policy, here) === true) return known;
    const isMember =
      part === null ? null : (workload: Workload) => hasLabels(this.#options.labelsOf(workload), part.labels);
    const view: DestinationView = { service: found, port, subset, policy, endpoints, isMember, self: here };
    if (known !== null) {
      known.update(view, nowMs);
      return known;
    }
    const made = new Destination(view, random, this.#options, nowMs);
    this.#byService.set(service, [...(this.#byService.get(service) ?? []), made]);
    return made;
  }

  /**
   * Brings every destination up to the mesh as it is now: endpoints that have gone are let go of, and so are
   * destinations.
   */
  refresh(nowMs: number): void {
    for (const [service, destinations] of this.#byService) {
      const left = destinations.filter(({ port, subset }) => this.of(service, port, subset, nowMs) !== null);
      if (left.length === destinations.length) continue;
      for (const destination of destinations) if (!left.includes(destination)) destination.balancer.clear();
      if (left.length === 0) this.#byService.delete(service);
      else this.#byService.set(service, left);
    }
  }

  values(): readonly Destination[] {
    return [...this.#byService.values()].flat();
  }

  #find(service: NamespacedKey, port: number, subset: string): Destination | null {
    const destinations = this.#byService.get(service);
    if (destinations === undefined) return null;
    for (const one of destinations) if (one.port === port && one.subset === subset) return one;
    return null;
  }
}

function policyOfPort(policies: DestinationRules['portPolicies'], port: number): DestinationPolicy | null {
  return policies.find((one) => one.port === port)?.policy ?? null;
}

function hasLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
