// What a node should capture, as data: computed from the node's pod networks and the workloads that are known to run on
// it. `ruleset.ts` turns it into nftables rules, `host-backend.ts` puts it into the kernel.
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Workload } from '../model/types.ts';

export interface CapturePorts {
  readonly outbound: number;
  readonly inbound: number;
  readonly hbone: number;
}

/** A Linux bridge that pods hang on. What they send each other is bridged, and passes no rule for IP by itself. */
export interface PodBridge {
  readonly name: string;
  readonly mac: string;
  /** `ADDRESS/LENGTH` of the pods on it. */
  readonly networks: readonly string[];
}

/** How pods are connected to this node. */
export interface PodLinks {
  readonly bridges: readonly PodBridge[];
  /** The kernel shows bridged packets to the rules for IP (`br_netfilter`). */
  readonly bridgeHooks: boolean;
  /**
   * Whoever sends by a veth link is a pod, but by one of these; null where that cannot be told, and addresses alone
   * decide.
   */
  readonly otherLinks: readonly string[] | null;
}

/** Nothing is known of links: addresses alone decide. */
export const noPodLinks: PodLinks = { bridges: [], bridgeHooks: false, otherLinks: null };

/**
 * Everything in `podCidrs` is captured but the addresses in `bypass`, and so is what comes by a pod's link: a pod that
 * nobody has told us about yet is captured by construction, so that its first SYN waits in the proxy instead of leaving
 * in the clear.
 */
export interface DesiredCapture {
  /** Networks and addresses of both families, none within another, sorted. */
  readonly podCidrs: readonly string[];
  /** Addresses of pods on this node that are known to be outside the mesh; sorted, canonical. */
  readonly bypass: readonly string[];
  readonly links: PodLinks;
  readonly ports: CapturePorts;
  /** True lets traffic pass in the clear while the proxy is down; false resets it. */
  readonly failOpen: boolean;
}

/** The part of a workload that decides about its capture. */
export type CaptureSubject = Pick<Workload, 'addresses' | 'tunnelProtocol' | 'nativeTunnel' | 'hostNetwork'>;

/**
 * Returns the capture that `workloads` (those of this node) call for. A pod outside the mesh is bypassed, and so is
 * one that speaks the tunnel protocol itself (a waypoint). An address that both an enrolled pod and another one claim
 * stays captured.
 */
export function desiredCapture(
  workloads: Iterable<CaptureSubject>,
  fixed: Omit<DesiredCapture, 'bypass'>,
): DesiredCapture {
  const bypass = new Set<string>();
  const captured = new Set<string>();
  for (const workload of workloads) {
    if (workload.hostNetwork) continue; // its address is the node's, which is in no pod range
    const outside = workload.tunnelProtocol === 'NONE' || workload.nativeTunnel;
    for (const address of workload.addresses) (outside ? bypass : captured).add(address);
  }
  for (const address of captured) bypass.delete(address);
  return { ...fixed, bypass: [...bypass].filter((address) => isIP(address) !== 0).sort() };
}

/** True when both describe the same rules; what is in the sets of addresses is compared by `sameAddresses`. */
export function sameStructure(one: DesiredCapture, other: DesiredCapture): boolean {
  return (
    one.failOpen === other.failOpen &&
    isDeepStrictEqual(one.links, other.links) &&
    one.ports.outbound === other.ports.outbound &&
    one.ports.inbound === other.ports.inbound &&
    one.ports.hbone === other.ports.hbone
  );
}

/** True when both capture the same networks and release the same pods. */
export function sameAddresses(one: DesiredCapture, other: DesiredCapture): boolean {
  return sameList(one.podCidrs, other.podCidrs) && sameList(one.bypass, other.bypass);
}

/** True when both hold the same values in the same order. */
export function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
