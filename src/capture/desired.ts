// What a node should capture, as data: computed from the node's pod ranges and the workloads that are known to run on
// it. `ruleset.ts` turns it into nftables rules, `host-backend.ts` puts it into the kernel.
import { isIP } from 'node:net';
import type { Workload } from '../model/types.ts';

export interface CapturePorts {
  readonly outbound: number;
  readonly inbound: number;
  readonly hbone: number;
}

/**
 * Everything in `podCidrs` is captured but the addresses in `bypass`: a pod that nobody has told us about yet is
 * captured by construction, so that its first SYN waits in the proxy instead of leaving in the clear.
 */
export interface DesiredCapture {
  /** `ADDRESS/LENGTH` of both families. */
  readonly podCidrs: readonly string[];
  /** Addresses of pods on this node that are known to be outside the mesh; sorted, canonical. */
  readonly bypass: readonly string[];
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

/** True when both describe the same rules; `bypass` is compared by `sameBypass`. */
export function sameStructure(one: DesiredCapture, other: DesiredCapture): boolean {
  return (
    one.failOpen === other.failOpen &&
    sameList(one.podCidrs, other.podCidrs) &&
    one.ports.outbound === other.ports.outbound &&
    one.ports.inbound === other.ports.inbound &&
    one.ports.hbone === other.ports.hbone
  );
}

/** True when both release the same pods. */
export function sameBypass(one: DesiredCapture, other: DesiredCapture): boolean {
  return sameList(one.bypass, other.bypass);
}

/** True when both hold the same values in the same order. */
export function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
