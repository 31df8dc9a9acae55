// The `baggage` header of HBONE: who a workload is, for logs and metrics only. It is never proof of anything:
// identity comes from the certificate. Keys as in OpenTelemetry's semantic conventions, which Istio ambient uses.
import type { Workload } from '../model/types.ts';

/** What baggage may say of a workload; '' where it says nothing. */
export interface Baggage {
  readonly clusterName: string;
  readonly namespace: string;
  readonly workloadName: string;
  readonly workloadType: Workload['workloadType'] | '';
  readonly service: string;
  readonly revision: string;
  readonly region: string;
  readonly zone: string;
}

export const emptyBaggage: Baggage = {
  clusterName: '',
  namespace: '',
  workloadName: '',
  workloadType: '',
  service: '',
  revision: '',
  region: '',
  zone: '',
};

/** Members read from one header; what is beyond is ignored. */
const membersLimit = 64;

const workloadTypes = ['deployment', 'cronjob', 'pod', 'job'] as const satisfies readonly Workload['workloadType'][];

/** Returns `k=v` joined by commas, without the keys that have no value (Istio ambient; ambient-l4 §1.3). */
export function formatBaggage(workload: Workload): string {
  const members: [string, string][] = [
    ['k8s.cluster.name', workload.clusterId],
    ['k8s.namespace.name', workload.namespace],
    [`k8s.${workload.workloadType}.name`, workload.workloadName],
    ['service.name', workload.canonicalName],
    ['service.version', workload.canonicalRevision],
    ['cloud.region', workload.locality?.region ?? ''],
    ['cloud.availability_zone', workload.locality?.zone ?? ''],
  ];
  return members
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${encodeValue(value)}`)
    .join(',');
}

/** Reads a `baggage` header (several lines joined by commas); unknown keys and malformed members are ignored. */
export function parseBaggage(text: string): Baggage {
  const found: { -readonly [K in keyof Baggage]: Baggage[K] } = { ...emptyBaggage };
  for (const member of text.split(',', membersLimit)) {
    const equals = member.indexOf('=');
    if (equals < 0) continue;
    const key = member.slice(0, equals).trim();
    const semicolon = member.indexOf(';', equals);
    const value = decodeValue(member.slice(equals + 1, semicolon < 0 ? undefined : semicolon).trim());
    setMember(found, key, value);
  }
  return found;
}

function setMember(into: { -readonly [K in keyof Baggage]: Baggage[K] }, key: string, value: string): void {
  if (key === 'k8s.cluster.name') into.clusterName = value;
  else if (key === 'k8s.namespace.name') into.namespace = value;
  else if (key === 'service.name') into.service = value;
  else if (key === 'service.version') into.revision = value;
  else if (key === 'cloud.region') into.region = value;
  else if (key === 'cloud.availability_zone') into.zone = value;
  const type = workloadTypes.find((name) => key === `k8s.${name}.name`);
  if (type === undefined) return;
  into.workloadType = type;
  into.workloadName = value;
}

// Names of Kubernetes need no escape; a value that would break the list, or the header, gets one (W3C Baggage §3.3.1).
function encodeValue(value: string): string {
  return /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(value) && !value.includes('%')
    ? value
    : encodeURIComponent(value);
}

function decodeValue(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
