// What Envoy calls the flags of requests (l7.md §4.6): Istio's metrics have them under these names, so that what asks
// for `UO` or `URX` (Kiali, alerts, dashboards) finds them. Flags that Envoy has no name for keep ours.
import type { Flag } from '../base/flags.ts';

const envoyFlags: Partial<Record<Flag, string>> = {
  BACKEND_INVALID: 'NC',
  CONNECT: 'UF',
  FAULT_INJECTED: 'FI',
  IDLE_TIMEOUT: 'SI',
  MAX_STREAM_TIME: 'UMSDR',
  NETWORK_POLICY: 'UF',
  NO_ENDPOINT: 'UH',
  NO_ROUTE: 'NR',
  RATE_LIMITED: 'RL',
  REQUEST_INVALID: 'DPE',
  RESET_BY_DESTINATION: 'UC',
  RESET_BY_SOURCE: 'DC',
  RESPONSE_INVALID: 'UPE',
  RETRY_LIMIT: 'URX',
  TLS_FAILURE: 'UF',
  UPSTREAM_OVERFLOW: 'UO',
  UPSTREAM_TIMEOUT: 'UT',
};

/** The value of `response_flags` for a request. */
export function envoyFlag(flag: Flag): string {
  return envoyFlags[flag] ?? flag;
}
