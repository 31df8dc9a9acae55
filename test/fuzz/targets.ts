// Every target, in the order in which `npm run fuzz` takes them.
import type { FuzzTarget } from './target.ts';
import { addressesTarget } from './targets/addresses.ts';
import { certificatesTarget, pemTarget, requestsTarget } from './targets/certificates.ts';
import { discoveryTarget } from './targets/discovery.ts';
import { dnsTarget } from './targets/dns.ts';
import { framesTarget, sessionTarget } from './targets/frames.ts';
import { headersTarget } from './targets/headers.ts';
import { hpackTarget, huffmanTarget } from './targets/hpack.ts';
import { http1Target } from './targets/http1.ts';
import { manifestsTarget } from './targets/manifests.ts';
import { routesTarget } from './targets/routes.ts';

export const targets: readonly FuzzTarget[] = [
  framesTarget,
  sessionTarget,
  hpackTarget,
  huffmanTarget,
  requestsTarget,
  certificatesTarget,
  pemTarget,
  discoveryTarget,
  manifestsTarget,
  routesTarget,
  addressesTarget,
  headersTarget,
  dnsTarget,
  http1Target,
];
