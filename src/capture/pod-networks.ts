// Where the pods of this node are: from what its network looks like, and from what the controller knows. Pure.
//
//   routed   each pod on a veth of its own, a route to each (Calico, AWS VPC CNI, Azure CNI, GKE, kindnet's ptp)
//   bridged  all pods of a network on a Linux bridge that has its gateway address (kubenet, flannel, `bridge`)
//
// What is missed here is captured all the same once the mesh knows the pod; what is taken for a pod's and is none is
// held, and refused. An unknown never widens access.
import { disjointNetworks } from '../base/cidr-list.ts';
import { cidrContains, parseCidr } from '../base/ip.ts';
import type { PodBridge, PodLinks } from './desired.ts';
import type { NodeLink, NodeNetworkReading, NodeRoute } from './node-network.ts';

/** What is known of this node's pods without looking at the node. */
export interface KnownPods {
  /** `ADDRESS/LENGTH` of its Node object. */
  readonly networks: readonly string[];
  readonly addresses: readonly string[];
}

export interface PodNetworks {
  /** As `DesiredCapture.podCidrs`. */
  readonly networks: readonly string[];
  readonly links: PodLinks;
}

/** Bridges of the usual network plug-ins; another is one if it has a network that is known to be the pods'. */
const podBridgeNames = /^(cni0|cbr0|kube-bridge|weave)$/;
/** Cilium's own end of the pods' network. Its routes to other nodes' pods go by it too. */
const ciliumHost = 'cilium_host';
const vethKinds: readonly string[] = ['veth', 'netkit'];
/** No pod is known by these: link-local, multicast. */
const never = ['169.254.0.0/16', 'fe80::/10', 'ff00::/8', '224.0.0.0/4'].map((text) => parseCidr(text)!);

/** The networks and links of the pods of this node. */
export function podNetworks(reading: NodeNetworkReading, known: KnownPods): PodNetworks {
  const uplinks = new Set(reading.routes.filter((route) => route.viaGateway).map(({ link }) => link));
  const bridges = reading.links
    .filter((link) => link.kind === 'bridge' && isPodBridge(link, known, uplinks))
    .map((link): PodBridge => ({ name: link.name, mac: link.mac, networks: subnetsOf(link) }));
  const veths = reading.links.filter(({ kind, master }) => vethKinds.includes(kind) && master === '');
  const isOther = (link: NodeLink): boolean =>
    !link.leadsElsewhere || uplinks.has(link.name) || subnetsOf(link).length > 0;
  const podLinks = new Set(veths.filter((link) => !isOther(link)).map(({ name }) => name));
  const routed = reading.routes.filter((route) => podLinks.has(route.link) && isPodRoute(route)).map(({ to }) => to);
  const otherLinks = veths.filter(isOther).map(({ name }) => name);
  return {
    networks: disjointNetworks([
      ...known.networks,
      ...known.addresses,
      ...bridges.flatMap(({ networks }) => networks),
      ...routed,
      ...ciliumNetworks(reading),
    ]),
    links: {
      bridges: bridges.filter(({ networks }) => networks.length > 0).sort(byName),
      bridgeHooks: reading.bridgeHooks,
      otherLinks: otherLinks.sort(),
    },
  };
}

/** What is known where the node cannot be looked at: addresses alone decide. */
export function podNetworksUnseen(known: KnownPods): readonly string[] {
  return disjointNetworks([...known.networks, ...known.addresses]);
}

/** A bridge with the way out on it is the machine's own, and other machines are on it. */
function isPodBridge(link: NodeLink, known: KnownPods, uplinks: ReadonlySet<string>): boolean {
  if (uplinks.has(link.name)) return false;
  if (podBridgeNames.test(link.name)) return true;
  const subnets = subnetsOf(link).map((text) => parseCidr(text)!);
  const networks = known.networks.map((text) => parseCidr(text)).filter((cidr) => cidr !== null);
  return subnets.some(
    (subnet) =>
      known.addresses.some((address) => cidrContains(subnet, address)) ||
      networks.some((network) => cidrContains(subnet, network.address) || cidrContains(network, subnet.address)),
  );
}

/** The networks of its addresses, without those of one address alone. */
function subnetsOf({ addresses }: NodeLink): string[] {
  const subnets = addresses.map((text) => parseCidr(text)).filter((cidr) => cidr !== null);
  const wide = subnets.filter(({ family, length }) => length < (family === 4 ? 32 : 128));
  return wide.filter(({ address }) => !isNever(address)).map(({ text }) => text);
}

function isPodRoute({ to, viaGateway }: NodeRoute): boolean {
  const cidr = parseCidr(to);
  return !viaGateway && cidr !== null && cidr.length > 0 && !isNever(cidr.address);
}

function isNever(address: string): boolean {
  return never.some((cidr) => cidrContains(cidr, address));
}

function ciliumNetworks({ links, routes }: NodeNetworkReading): string[] {
  const own = links.find(({ name }) => name === ciliumHost)?.addresses.map((text) => text.split('/')[0] ?? '') ?? [];
  return routes
    .filter(({ link, to }) => link === ciliumHost && parseCidr(to)?.length !== 0)
    .map(({ to }) => to)
    .filter((to) => own.some((address) => cidrContains(parseCidr(to)!, address)));
}

function byName(one: PodBridge, other: PodBridge): number {
  return one.name < other.name ? -1 : 1;
}
