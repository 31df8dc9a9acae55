// An admission for tests: as wide as they do not say otherwise.
import { Admission, type AdmissionLimits } from './admission.ts';
import { SharedUse } from './shared-use.ts';

/** Counts alone, with descriptors without end unless `used` says how many are in use of `limit`. */
export function testAdmission(
  limits: Partial<AdmissionLimits> = {},
  descriptors: { readonly limit: number; readonly used: () => number } = { limit: 1_000_000, used: () => 0 },
): Admission {
  return new Admission({
    limits: { connectionsMax: 1000, connectionsPerPodMax: 1000, descriptorsMax: 1_000_000, ...limits },
    use: new SharedUse(1),
    descriptors: { limit: descriptors.limit, accept: descriptors.used },
    threadId: 0,
  });
}
