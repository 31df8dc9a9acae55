// What the cluster's DNS answers, from the lab's objects: the names of the Kubernetes DNS specification.
//
//   SVC.NS.svc.DOMAIN · HOST.SVC.NS.svc.DOMAIN · _PORT._PROTO.SVC.NS.svc.DOMAIN · 10-244-1-2.NS.pod.DOMAIN · PTR of all
// of these
import { canonicalIp, familyOf } from '../base/ip.ts';
import { type DnsAnswer, type DnsRecord, recordTypes } from './dns-codec.ts';
import type { Endpoint, EndpointSlice, ServiceObject } from './objects.ts';
import { isEndpointReady } from './service-rules.ts';
import type { ObjectStore } from './store.ts';

type Found = readonly DnsRecord[] | null;

/** Answers questions about `domain` and about the addresses of services and endpoints; refuses all others. */
export class DnsZone {
  readonly #store: ObjectStore;
  readonly #domain: string;
  #turn = 0;

  constructor(store: ObjectStore, domain: string) {
    this.#store = store;
    this.#domain = domain;
  }

  answer(name: string, type: number): DnsAnswer {
    const reverse = addressOfReverse(name);
    if (reverse !== null) return this.#reverse(name, reverse, type);
    if (name !== this.#domain && !name.endsWith(`.${this.#domain}`))
      return { code: 'REFUSED', answers: [], additional: [], zone: '' };
    const zone = this.#domain;
    const found = this.#find(name);
    if (found === null) return { code: 'NXDOMAIN', answers: [], additional: [], zone };
    const answers = found.filter(
      (record) => recordTypes[record.type] === type || type === recordTypes.ANY || record.type === 'CNAME',
    );
    const targets = new Set(answers.flatMap((record) => (record.type === 'SRV' ? [record.target] : [])));
    const additional = [...targets].flatMap((target) => this.#find(target) ?? []).filter((each) => 'address' in each);
    return { code: 'NOERROR', answers: this.#rotated(answers), additional, zone };
  }

  /** Clients take the first address of a headless service: each answer begins with another one. */
  #rotated(records: readonly DnsRecord[]): readonly DnsRecord[] {
    const isSet = records.length > 1 && records.every((record) => record.type === 'A' || record.type === 'AAAA');
    if (!isSet) return records;
    const first = this.#turn++ % records.length;
    return [...records.slice(first), ...records.slice(0, first)];
  }

  /** Every record of a name; null when there is no such name, empty when there is but it has no records. */
  #find(name: string): Found {
    const labels = name === this.#domain ? [] : name.slice(0, -this.#domain.length - 1).split('.');
    const kind = labels.pop();
    if (kind === undefined) return [];
    const namespace = labels.pop();
    if (kind === 'pod') return podRecords(name, labels, namespace);
    if (kind !== 'svc') return null;
    if (namespace === undefined) return [];
    const service = labels.pop();
    if (service === undefined) return this.#store.get('Namespace', '', namespace) === undefined ? null : [];
    const object = this.#store.get<ServiceObject>('Service', namespace, service);
    if (object === undefined) return null;
    return this.#serviceRecords(name, object, labels);
  }

  #serviceRecords(name: string, service: ServiceObject, labels: readonly string[]): Found {
    const { spec } = service;
    const base = `${service.metadata.name}.${service.metadata.namespace}.svc.${this.#domain}`;
    if (spec.type === 'ExternalName') {
      return labels.length === 0
        ? [{ type: 'CNAME', name, target: (spec.externalName ?? '').replace(/\.$/, '') }]
        : null;
    }
    const isHeadless = spec.clusterIP === 'None';
    const endpoints = isHeadless ? this.#endpointsOf(service) : [];
    if (labels.length === 0) {
      const addresses = isHeadless ? endpoints.flatMap((each) => each.endpoint.addresses) : (spec.clusterIPs ?? []);
      return [...new Set(addresses)].map((address) => addressRecord(name, address));
    }
    const [first, second] = labels;
    if (labels.length === 2 && first?.startsWith('_') && second?.startsWith('_')) {
      return this.#srvRecords(name, service, first.slice(1), second.slice(1), base);
    }
    if (labels.length !== 1 || first === undefined) return null;
    const named = endpoints
      .filter(({ endpoint }) => hostOf(endpoint) === first)
      .flatMap((each) => each.endpoint.addresses);
    const all = endpoints
      .flatMap((each) => each.endpoint)
      .filter((endpoint) => named.some((ip) => endpoint.addresses.includes(ip)));
    if (all.length > 0)
      return [...new Set(all.flatMap((each) => each.addresses))].map((address) => addressRecord(name, address));
    // `_tcp` alone is a name too, above those of the ports.
    return first === '_tcp' || first === '_udp' ? [] : null;
  }

  #srvRecords(name: string, service: ServiceObject, port: string, protocol: string, base: string): Found {
    const isWanted = (each: { name?: string; protocol?: string }) =>
      (each.name ?? '') === port && (each.protocol ?? 'TCP').toLowerCase() === protocol;
    if (service.spec.clusterIP !== 'None') {
      const found = (service.spec.ports ?? []).find(isWanted);
      return found === undefined ? null : [{ type: 'SRV', name, port: found.port, target: base }];
    }
    const records = this.#endpointsOf(service).flatMap(({ endpoint, slice }) =>
      (slice.ports ?? [])
        .filter((each) => isWanted(each) && each.port !== undefined)
        .map((each) => ({
          type: 'SRV' as const,
          name,
          port: each.port as number,
          target: `${hostOf(endpoint)}.${base}`,
        })),
    );
    const unique = new Map(records.map((record) => [`${record.port} ${record.target}`, record]));
    return unique.size === 0 ? null : [...unique.values()];
  }

  #endpointsOf(service: ServiceObject): { endpoint: Endpoint; slice: EndpointSlice }[] {
    const { name, namespace } = service.metadata;
    return this.#store
      .list<EndpointSlice>('EndpointSlice', namespace)
      .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === name)
      .flatMap((slice) => slice.endpoints.filter(isEndpointReady).map((endpoint) => ({ endpoint, slice })));
  }

  #reverse(name: string, address: string, type: number): DnsAnswer {
    const targets = this.#namesOf(address);
    const zone = name.endsWith('ip6.arpa') ? 'ip6.arpa' : 'in-addr.arpa';
    if (targets.length === 0) return { code: 'NXDOMAIN', answers: [], additional: [], zone };
    const answers =
      type === recordTypes.PTR || type === recordTypes.ANY
        ? targets.map((target) => ({ type: 'PTR' as const, name, target }))
        : [];
    return { code: 'NOERROR', answers, additional: [], zone };
  }

  #namesOf(address: string): string[] {
    const names: string[] = [];
    for (const service of this.#store.list<ServiceObject>('Service')) {
      const base = `${service.metadata.name}.${service.metadata.namespace}.svc.${this.#domain}`;
      if (service.spec.clusterIPs?.includes(address) === true) names.push(base);
      if (service.spec.clusterIP !== 'None') continue;
      const endpoint = this.#endpointsOf(service).find((each) => each.endpoint.addresses.includes(address));
      if (endpoint !== undefined) names.push(`${hostOf(endpoint.endpoint)}.${base}`);
    }
    return names;
  }
}

/** An endpoint's own label: its host name, or its address with dashes. */
function hostOf(endpoint: Endpoint): string {
  return endpoint.hostname ?? (endpoint.addresses[0] ?? '').replaceAll(/[.:]/g, '-');
}

function addressRecord(name: string, address: string): DnsRecord {
  return { type: familyOf(address) === 4 ? 'A' : 'AAAA', name, address };
}

/** `10-244-1-2.NS.pod.DOMAIN` stands for its address whether there is such a pod or not, as in CoreDNS' default. */
function podRecords(name: string, labels: readonly string[], namespace: string | undefined): Found {
  if (namespace === undefined || labels.length === 0) return [];
  if (labels.length > 1) return null;
  const dashed = labels[0] as string;
  const address = canonicalIp(dashed.replaceAll('-', '.')) ?? canonicalIp(dashed.replaceAll('-', ':'));
  return address === null ? null : [addressRecord(name, address)];
}

/** The address that a name under `in-addr.arpa` or `ip6.arpa` is about, null for any other name. */
export function addressOfReverse(name: string): string | null {
  const labels = name.split('.').reverse();
  if (labels[0] !== 'arpa') return null;
  const rest = labels.slice(2);
  if (labels[1] === 'in-addr' && rest.length === 4) return canonicalIp(rest.join('.'));
  if (labels[1] === 'ip6' && rest.length === 32) return canonicalIp((rest.join('').match(/.{4}/g) ?? []).join(':'));
  return null;
}
