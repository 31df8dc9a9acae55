// Makes a received mesh small: decoded or cloned objects bring a copy of each string and list with them, though pods of
// a service differ in little but their name and address. What is equal is shared.
import type { MeshUpdate, PortMapping, Workload } from './types.ts';

/** Above so many shared values the table begins anew: what comes and goes must not fill it for ever. */
const sharedMax = 100_000;

/** Shares equal values among all that it is given. */
export class MeshCompactor {
  readonly #texts = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();
  readonly #ports = new Map<string, readonly PortMapping[]>();
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();
  readonly #localities = new Map<string, Workload['locality']>();

  /** The same update, in less memory. */
  update(update: MeshUpdate): MeshUpdate {
    if (update.workloads.length === 0) return update;
    return { ...update, workloads: update.workloads.map((workload) => this.#workload(workload)) };
  }

  #workload(workload: Workload): Workload {
    return {
      uid: workload.uid,
      name: workload.name,
      namespace: this.#text(workload.namespace),
      addresses: workload.addresses,
      network: this.#text(workload.network),
      tunnelProtocol: workload.tunnelProtocol === 'HBONE' ? 'HBONE' : 'NONE',
      trustDomain: this.#text(workload.trustDomain),
      serviceAccount: this.#text(workload.serviceAccount),
      node: this.#text(workload.node),
      canonicalName: this.#text(workload.canonicalName),
      canonicalRevision: this.#text(workload.canonicalRevision),
      workloadType: this.#text(workload.workloadType),
      workloadName: workload.workloadName === workload.name ? workload.name : this.#text(workload.workloadName),
      nativeTunnel: workload.nativeTunnel,
      policies: this.#list(workload.policies),
      healthy: workload.healthy,
      clusterId: this.#text(workload.clusterId),
      locality: this.#locality(workload.locality),
      hostNetwork: workload.hostNetwork,
      capacity: workload.capacity,
      waypoint: workload.waypoint,
      ...(workload.labels === undefined ? {} : { labels: this.#labelled(workload.labels) }),
      services: this.#services(workload.services),
    };
  }

  #labelled(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    return shared(this.#labels, JSON.stringify(labels), () => labels);
  }

  #text<Text extends string>(text: Text): Text {
    return shared(this.#texts, text, () => text) as Text;
  }

  #list(list: readonly string[]): readonly string[] {
    return shared(this.#lists, list.join('\n'), () => list.map((text) => this.#text(text)));
  }

  #locality(locality: Workload['locality']): Workload['locality'] {
    if (locality === null) return null;
    const { region, zone, subzone } = locality;
    return shared(this.#localities, `${region}\n${zone}\n${subzone}`, () => locality);
  }

  #services(services: Workload['services']): Workload['services'] {
    const own: Record<string, readonly PortMapping[]> = {};
    for (const [key, ports] of Object.entries(services)) {
      const text = ports.map(
        ({ servicePort, targetPort, appProtocol }) => `${servicePort} ${targetPort} ${appProtocol}`,
      );
      own[this.#text(key)] = shared(this.#ports, text.join(), () => ports);
    }
    return own;
  }
}

function shared<Value>(table: Map<string, Value>, key: string, make: () => Value): Value {
  const known = table.get(key);
  if (known !== undefined) return known;
  if (table.size >= sharedMax) table.clear();
  const value = make();
  table.set(key, value);
  return value;
}
