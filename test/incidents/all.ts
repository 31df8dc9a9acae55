// The twelve, in the order of docs/runbook.md.
import { certificateNotRenewed } from './certificate-not-renewed.ts';
import { denyPolicy } from './deny-policy.ts';
import { ejectedEndpoint } from './ejected-endpoint.ts';
import type { Incident } from './incident.ts';
import { misspeltSubset } from './misspelt-subset.ts';
import { noConfiguration } from './no-configuration.ts';
import { nodeProxyDown } from './node-proxy-down.ts';
import { overloadedProxy } from './overloaded-proxy.ts';
import { renamedService } from './renamed-service.ts';
import { retryStorm } from './retry-storm.ts';
import { slowApplication } from './slow-application.ts';
import { slowWire } from './slow-wire.ts';
import { strictPlaintext } from './strict-plaintext.ts';

export const incidents: readonly Incident[] = [
  denyPolicy,
  strictPlaintext,
  misspeltSubset,
  renamedService,
  slowApplication,
  slowWire,
  overloadedProxy,
  retryStorm,
  ejectedEndpoint,
  noConfiguration,
  certificateNotRenewed,
  nodeProxyDown,
];
