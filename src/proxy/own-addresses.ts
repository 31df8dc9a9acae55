// The addresses of the machine or pod that a proxy runs on.
import { networkInterfaces } from 'node:os';

/** Addresses by which others reach this process: neither loopback nor link-local. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80') && !address.startsWith('169.254.'))
    .map(({ address }) => address);
}
