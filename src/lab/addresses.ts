// The lab's address plan, and who has which address of a range.
//
//   fabric 10.80.0.1, fd80::1 ── node k 10.80.0.(10+k), fd80::(10+k) ── its pods 10.244.k.0/24, fd00:10:244:k::/64
//   services 10.96.0.0/16, fd00:10:96::/112; cluster DNS 10.96.0.10, fd00:10:96::a

import { MeshError } from '../base/errors.ts';
import { type Cidr, formatIp, type IpValue, parseCidr, parseIp } from '../base/ip.ts';
import type { KubeObject } from './objects.ts';

export const fabricAddresses = ['10.80.0.1', 'fd80::1'] as const;
/** Fixed: a bridge left to itself takes the least of its ports', so another with every link that comes or goes. */
export const fabricMac = '02:00:0a:50:00:01';
export const serviceCidrs = ['10.96.0.0/16', 'fd00:10:96::/112'] as const;
export const dnsServiceAddresses = ['10.96.0.10', 'fd00:10:96::a'] as const;
export const nodePortRange = { first: 30000, last: 32767 } as const;

/** The next hop of every pod: link-local, and answered by a permanent neighbour entry instead of by anybody. */
export const podGateways = ['169.254.1.1', 'fe80::1'] as const;
export const podGatewayMac = 'ee:ee:ee:ee:ee:ee';

export interface NodePlan {
  /** Counts from 1. */
  readonly index: number;
  readonly name: string;
  /** IPv4, IPv6. */
  readonly addresses: readonly [string, string];
  readonly podCidrs: readonly string[];
  readonly podNetwork: PodNetworkKind;
}

/**
 * How pods hang on their node, as the usual network plug-ins do it: `routed` on a veth each with a fixed link-local
 * next hop, `ptp` on a veth each that has the gateway's address, `bridge` all on one Linux bridge.
 */
export const podNetworkKinds = ['routed', 'ptp', 'bridge'] as const;
export type PodNetworkKind = (typeof podNetworkKinds)[number];
/** On a Node: its own kind. */
const podNetworkAnnotation = 'lab.ambient.mesh/pod-network';

/** The kind that a Node says, null when it says none. Throws `CONFIG_INVALID` for one that there is not. */
export function podNetworkOf({ metadata }: KubeObject): PodNetworkKind | null {
  const said = metadata.annotations?.[podNetworkAnnotation];
  if (said === undefined) return null;
  const place = `Node ${metadata.name}`;
  const reason = `${podNetworkAnnotation} must be one of ${podNetworkKinds.join(', ')}, not "${said}"`;
  const kind = podNetworkKinds.find((each) => each === said);
  if (kind === undefined) throw new MeshError('CONFIG_INVALID', { place, reason });
  return kind;
}

/** The plan of node `index`; pod ranges that its manifest gives take the place of the usual ones. */
export function planNode(
  index: number,
  name: string,
  podCidrs: readonly string[] = [],
  podNetwork: PodNetworkKind = 'routed',
): NodePlan {
  const addresses = [`10.80.0.${10 + index}`, `fd80::${(10 + index).toString(16)}`] as const;
  const usual = [`10.244.${index}.0/24`, `fd00:10:244:${index.toString(16)}::/64`];
  return { index, name, addresses, podCidrs: podCidrs.length > 0 ? podCidrs : usual, podNetwork };
}

/**
 * Hands out the addresses of a range in order, so that an address that was given back rests for as long as possible.
 */
export class AddressPool {
  readonly #cidr: Cidr;
  readonly #used = new Set<string>();
  readonly #first: bigint;
  readonly #size: bigint;
  #next: bigint;

  /** `skip` addresses at the start of `range` are never handed out. Throws `CONFIG_INVALID` for what is no range. */
  constructor(range: string, skip: number) {
    const cidr = parseCidr(range);
    if (cidr === null) throw new MeshError('CONFIG_INVALID', { place: range, reason: 'is no address range' });
    this.#cidr = cidr;
    const bits = cidr.family === 4 ? 32 : 128;
    this.#first = BigInt((parseIp(cidr.address) as IpValue).value) + BigInt(skip);
    // The last address of an IPv4 range is its broadcast address.
    this.#size = 2n ** BigInt(bits - cidr.length) - BigInt(skip) - (cidr.family === 4 ? 1n : 0n);
    this.#next = 0n;
  }

  get family(): 4 | 6 {
    return this.#cidr.family;
  }

  /** A free address. Throws `LIMIT_REACHED` when there is none. */
  take(): string {
    for (let tries = 0n; tries < this.#size && tries <= BigInt(this.#used.size); tries++) {
      const value = this.#first + this.#next;
      this.#next = (this.#next + 1n) % this.#size;
      const text =
        this.#cidr.family === 4 ? formatIp({ family: 4, value: Number(value) }) : formatIp({ family: 6, value });
      if (this.reserve(text)) return text;
    }
    throw new MeshError('LIMIT_REACHED', {
      limit: `addresses of ${this.#cidr.text}`,
      value: this.#used.size,
      what: 'the lab',
    });
  }

  /** Takes this very address; false when it is taken already. */
  reserve(address: string): boolean {
    if (this.#used.has(address)) return false;
    this.#used.add(address);
    return true;
  }

  release(address: string): void {
    this.#used.delete(address);
  }
}
