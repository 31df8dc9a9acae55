// Our own pair: two `ambient-node` processes that capture by nftables, and an `ambient-controller` that feeds them.
import { MeshError } from '../../src/base/errors.ts';
import type { Service } from '../processes.ts';
import type { StartPath } from './path.ts';

export interface AmbientOptions {
  readonly say: (line: string) => void;
  readonly nodeFlags: readonly string[];
  readonly keep: (service: Service) => void;
}

/** Starts controller and node proxies. */
export const startAmbient =
  (_options: AmbientOptions): StartPath =>
  async () => {
    throw new MeshError('NOT_FOUND', { what: 'ambient-node', hint: 'its sources are not there yet' });
  };
