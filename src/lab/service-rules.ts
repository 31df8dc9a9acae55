// The Service path of one node as nftables rules: what kube-proxy programs, for pods and for the node's own processes.
//
// Computed as a whole from services and EndpointSlices and put in place in one transaction. A connection to a service
// address is sent to one ready endpoint at random; the connection tracker keeps it there.
import { familyOf } from '../base/ip.ts';
import { nodePortRange } from './addresses.ts';
import type { Endpoint, EndpointSlice, Pod, ServiceObject, ServicePort } from './objects.ts';
import { podIps } from './objects.ts';

export const serviceTable = 'ambient_lab_services';

export interface ServiceRulesInput {
  readonly nodeName: string;
  readonly nodeAddresses: readonly string[];
  readonly services: readonly ServiceObject[];
  readonly slices: readonly EndpointSlice[];
  /** Pods of this node, for the case that a pod reaches itself through a service. */
  readonly localPods: readonly Pod[];
}

interface Frontend {
  readonly family: 4 | 6;
  readonly address: string | null;
  readonly protocol: string;
  readonly port: number;
  readonly backends: readonly { readonly address: string; readonly port: number }[];
}

/** The text for `nft -f`: replaces the table as one transaction. */
export function serviceRules(input: ServiceRulesInput): string {
  const frontends = input.services.flatMap((service) => frontendsOf(service, input));
  const nat = frontends.filter((each) => each.backends.length > 0).map(natRule);
  const refused = frontends.filter((each) => each.backends.length === 0);
  const hairpins = (family: 4 | 6) =>
    input.localPods
      .flatMap(podIps)
      .filter((ip) => familyOf(ip) === family)
      .map((ip) => `${ip} . ${ip}`);
  const [v4, v6] = [hairpins(4), hairpins(6)];
  return [
    `table inet ${serviceTable} {}`,
    `delete table inet ${serviceTable}`,
    `table inet ${serviceTable} {`,
    ...set('hairpin4', 'ipv4_addr . ipv4_addr', v4),
    ...set('hairpin6', 'ipv6_addr . ipv6_addr', v6),
    '  chain services {',
    ...nat.map((rule) => `    ${rule}`),
    '  }',
    '  chain refused {',
    ...refused.flatMap(refuseRules).map((rule) => `    ${rule}`),
    '  }',
    '  chain refused_here {',
    ...refused
      .filter((each) => isNodePort(each.port))
      .flatMap(refuseRules)
      .map((rule) => `    ${rule}`),
    '  }',
    '  chain prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }',
    '  chain output { type nat hook output priority -100; policy accept; jump services; }',
    '  chain forward { type filter hook forward priority filter; policy accept; ct state new jump refused; }',
    // What comes in here for a service's own address was captured, and the node proxy knows better why it refuses.
    '  chain local_input { type filter hook input priority filter; policy accept; ct state new jump refused_here; }',
    '  chain local_output { type filter hook output priority filter; policy accept; ct state new jump refused; }',
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat; policy accept;',
    '    ct status & dnat != dnat accept',
    '    ip saddr . ip daddr @hairpin4 masquerade',
    '    ip6 saddr . ip6 daddr @hairpin6 masquerade',
    // Only node ports are addressed to the node. The answer has to come back through here, where alone it is known whom
    // the client believes to talk to; `externalTrafficPolicy: Local` keeps the client's address instead.
    ...localNodePorts(input.services).map((match) => `    ${match} accept`),
    ...input.nodeAddresses.map((address) => {
      const family = familyOf(address) === 4 ? 'ip' : 'ip6';
      return `    ct original ${family} daddr ${address} masquerade`;
    }),
    '  }',
    '}',
    '',
  ].join('\n');
}

function set(name: string, type: string, elements: readonly string[]): string[] {
  const content = elements.length === 0 ? '' : ` elements = { ${[...new Set(elements)].join(', ')} };`;
  return [`  set ${name} { type ${type};${content} }`];
}

function localNodePorts(services: readonly ServiceObject[]): string[] {
  return services
    .filter((service) => service.spec.externalTrafficPolicy === 'Local')
    .flatMap((service) => service.spec.ports ?? [])
    .filter((port) => port.nodePort !== undefined)
    .map((port) => `meta l4proto ${(port.protocol ?? 'TCP').toLowerCase()} ct original proto-dst ${port.nodePort}`);
}

function frontendsOf(service: ServiceObject, input: ServiceRulesInput): Frontend[] {
  const { spec, metadata } = service;
  const slices = input.slices.filter(
    (slice) =>
      slice.metadata.namespace === metadata.namespace &&
      slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name,
  );
  const addresses = (spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
  return (spec.ports ?? []).flatMap((port) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase();
    if (protocol !== 'tcp' && protocol !== 'udp') return [];
    const within = (family: 4 | 6, policy: string | undefined) =>
      backendsOf(port, slices, family, policy === 'Local' ? input.nodeName : null);
    const cluster = addresses.map((address): Frontend => {
      const family = familyOf(address);
      return { family, address, protocol, port: port.port, backends: within(family, spec.internalTrafficPolicy) };
    });
    if (port.nodePort === undefined) return cluster;
    const open = input.nodeAddresses.map((address): Frontend => {
      const family = familyOf(address);
      return {
        family,
        address,
        protocol,
        port: port.nodePort as number,
        backends: within(family, spec.externalTrafficPolicy),
      };
    });
    return [...cluster, ...open];
  });
}

/**
 * Ready endpoints of a port; when none is ready, those that still serve while they end, as kube-proxy falls back to
 * them.
 */
function backendsOf(port: ServicePort, slices: readonly EndpointSlice[], family: 4 | 6, onlyNode: string | null) {
  const type = family === 4 ? 'IPv4' : 'IPv6';
  const all = slices
    .filter((slice) => slice.addressType === type)
    .flatMap((slice) => {
      const found = slice.ports?.find(
        (each) => (each.name ?? '') === (port.name ?? '') && (each.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
      );
      const number = found?.port;
      if (number === undefined) return [];
      const here = slice.endpoints.filter((each) => onlyNode === null || each.nodeName === onlyNode);
      return here.map((endpoint) => ({ endpoint, port: number }));
    });
  const ready = all.filter(({ endpoint }) => isEndpointReady(endpoint));
  const usable =
    ready.length > 0
      ? ready
      : all.filter(({ endpoint }) => endpoint.conditions?.serving === true && endpoint.conditions.terminating === true);
  return usable.flatMap(({ endpoint, port: number }) =>
    endpoint.addresses.slice(0, 1).map((address) => ({ address, port: number })),
  );
}

/** A missing condition means ready, as the API says. */
export function isEndpointReady(endpoint: Endpoint): boolean {
  return endpoint.conditions?.ready !== false;
}

function natRule(frontend: Frontend): string {
  const { family, address, protocol, port, backends } = frontend;
  const ip = family === 4 ? 'ip' : 'ip6';
  const match = `${ip} daddr ${address} ${protocol} dport ${port}`;
  const [only] = backends;
  if (backends.length === 1 && only !== undefined) {
    return `${match} dnat ${ip} to ${family === 4 ? only.address : `[${only.address}]`}:${only.port}`;
  }
  const map = backends.map((each, index) => `${index} : ${each.address} . ${each.port}`).join(', ');
  return `${match} dnat ${ip} addr . port to numgen random mod ${backends.length} map { ${map} }`;
}

function refuseRules(frontend: Frontend): string[] {
  const { family, address, protocol, port } = frontend;
  const ip = family === 4 ? 'ip' : 'ip6';
  const how = protocol === 'tcp' ? 'reject with tcp reset' : 'reject';
  return [`${ip} daddr ${address} ${protocol} dport ${port} ${how}`];
}

/** True for a port that nodes open for a service. */
export function isNodePort(port: number): boolean {
  return port >= nodePortRange.first && port <= nodePortRange.last;
}
