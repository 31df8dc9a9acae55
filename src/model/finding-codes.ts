// Every finding about an object has a code: stable, with a page in docs/findings, for suppressing it and for asking
// what it means. The words of a finding may change, its code does not; a code that is given up is not used again.
//
// 00 reading · 01 enrolment and waypoints · 02 authorisation · 03 authentication · 04 routes of Gateway API
// 05 VirtualService · 06 DestinationRule · 07 policies of Ambient · 10 across objects

export type Severity = 'error' | 'warning' | 'info';

export interface FindingRule {
  readonly severity: Severity;
  /** What should be, as a heading. */
  readonly title: string;
  /** istioctl's code for the same finding, if it has one. */
  readonly equivalent?: string;
}

export const findingCodes = {
  AMB0001: { severity: 'error', title: 'An object can be read', equivalent: 'IST0106' },
  AMB0002: { severity: 'info', title: 'A kind is used' },
  AMB0003: { severity: 'error', title: 'A Node can be part of the mesh' },
  AMB0004: { severity: 'warning', title: 'What a Telemetry asks for is asked where it is read' },
  AMB0101: { severity: 'warning', title: 'The label of enrolment has a value that is known' },
  AMB0102: { severity: 'warning', title: 'use-waypoint names a waypoint that serves here' },
  AMB0103: { severity: 'error', title: 'A Gateway of class ambient-waypoint can be a waypoint' },
  AMB0104: { severity: 'warning', title: 'A share of traces is a number from 0 to 100' },
  AMB0201: { severity: 'error', title: 'A policy says once whom it is for' },
  AMB0202: { severity: 'warning', title: 'AUDIT is asked of a waypoint' },
  AMB0203: { severity: 'error', title: 'The action of a policy is one that is done' },
  AMB0204: { severity: 'warning', title: 'A DENY policy denies something' },
  AMB0205: { severity: 'error', title: 'The values of a rule can be read' },
  AMB0206: { severity: 'warning', title: 'The values of a rule mean what they seem to' },
  AMB0207: { severity: 'error', title: 'Attributes of requests are asked of a waypoint', equivalent: 'IST0167' },
  AMB0208: { severity: 'error', title: 'A condition is one that is known' },
  AMB0209: { severity: 'warning', title: 'The annotation of dry-run is true or false' },
  AMB0210: { severity: 'warning', title: 'A policy for requests is enforced somewhere', equivalent: 'IST0167' },
  AMB0211: { severity: 'warning', title: 'A target of a policy is there, and has a waypoint' },
  AMB0212: { severity: 'error', title: 'Lists and items of a rule are not empty' },
  AMB0301: { severity: 'warning', title: 'A RequestAuthentication names an issuer' },
  AMB0302: { severity: 'error', title: 'The keys of an issuer can be had' },
  AMB0303: { severity: 'warning', title: 'The keys of an issuer are named once' },
  AMB0304: { severity: 'error', title: 'A claim becomes a header that is free' },
  AMB0311: { severity: 'warning', title: 'A scope has one PeerAuthentication' },
  AMB0312: { severity: 'error', title: 'Modes of ports belong to a selection' },
  AMB0321: { severity: 'error', title: 'Revocations are in the system namespace' },
  AMB0322: { severity: 'warning', title: 'A revocation revokes something' },
  AMB0401: { severity: 'warning', title: 'A route has a parent' },
  AMB0402: { severity: 'warning', title: 'A route names services, not their waypoint' },
  AMB0403: { severity: 'info', title: 'A route is for the mesh' },
  AMB0404: { severity: 'warning', title: 'The parent of a route accepts it' },
  AMB0405: { severity: 'info', title: 'A field means something within the mesh' },
  AMB0406: { severity: 'error', title: 'A route asks for what can be done' },
  AMB0407: { severity: 'warning', title: 'A rule leads somewhere' },
  AMB0408: { severity: 'warning', title: 'A backend is there, and may be referred to', equivalent: 'IST0101' },
  AMB0409: { severity: 'warning', title: 'A filter is one that is known' },
  AMB0410: { severity: 'warning', title: 'A mirror leads somewhere', equivalent: 'IST0101' },
  AMB0411: { severity: 'warning', title: 'Retries can be made without doing things twice' },
  AMB0501: { severity: 'warning', title: 'A VirtualService asks for what can be done' },
  AMB0502: { severity: 'warning', title: 'The hosts of a VirtualService are services', equivalent: 'IST0101' },
  AMB0503: { severity: 'warning', title: 'A VirtualService holds where it is meant to' },
  AMB0504: { severity: 'warning', title: 'The routes of a service are in one API' },
  AMB0505: { severity: 'warning', title: 'A delegate is there, and can be delegated to' },
  AMB0506: { severity: 'info', title: 'A match is about the mesh' },
  AMB0507: { severity: 'warning', title: 'Every rule can be reached', equivalent: 'IST0130' },
  AMB0508: { severity: 'warning', title: 'A destination and its subset are there', equivalent: 'IST0101' },
  AMB0509: { severity: 'warning', title: 'The authority is set for all destinations of a rule' },
  AMB0510: { severity: 'warning', title: 'A condition of retries is one that is known' },
  AMB0601: { severity: 'warning', title: 'A DestinationRule asks for what can be done' },
  AMB0602: {
    severity: 'warning',
    title: 'The host of a DestinationRule is a service that it is for',
    equivalent: 'IST0174',
  },
  AMB0603: { severity: 'warning', title: 'A subset selects pods', equivalent: 'IST0173' },
  AMB0701: { severity: 'warning', title: 'The target of a policy is there, and has no older policy' },
  AMB0702: { severity: 'error', title: 'A policy fits its target' },
  AMB1001: { severity: 'warning', title: 'A policy selects pods', equivalent: 'IST0127' },
  AMB1002: { severity: 'warning', title: 'A policy is enforced somewhere', equivalent: 'IST0167' },
  AMB1003: { severity: 'warning', title: 'A Service selects pods' },
  AMB1004: { severity: 'warning', title: 'A target port is one of its pods' },
  AMB1005: { severity: 'info', title: 'A port behind a waypoint says its protocol', equivalent: 'IST0118' },
  AMB1006: { severity: 'warning', title: 'A port of a pod has one protocol', equivalent: 'IST0116' },
  AMB1007: { severity: 'warning', title: 'A namespace asks for sidecars or for the mesh', equivalent: 'IST0123' },
  AMB1008: { severity: 'warning', title: 'The labels of enrolment agree', equivalent: 'IST0123' },
  AMB1009: { severity: 'warning', title: 'A pod that asks for the mesh can be in it' },
  AMB1010: { severity: 'warning', title: 'A namespace that a policy names is there' },
  AMB1011: { severity: 'warning', title: 'Somebody runs as the account that a policy names' },
  AMB1012: { severity: 'info', title: 'An ALLOW policy has rules' },
  AMB1013: { severity: 'warning', title: 'A waypoint does what a route asks for' },
  AMB1014: { severity: 'warning', title: 'A host has one VirtualService', equivalent: 'IST0109' },
  AMB1015: { severity: 'warning', title: 'A rule can match', equivalent: 'IST0130, IST0131' },
  AMB1016: { severity: 'info', title: 'The version of an API is the present one', equivalent: 'IST0002' },
  AMB1017: { severity: 'error', title: 'A NetworkPolicy lets the tunnel in' },
  AMB1018: {
    severity: 'warning',
    title: 'A label of the mesh is known where it stands',
    equivalent: 'IST0107, IST0108',
  },
  AMB1019: { severity: 'warning', title: 'A time-out is within that of the caller' },
  AMB1020: { severity: 'warning', title: 'Retries do not multiply along a chain of calls' },
  AMB1021: { severity: 'info', title: 'All tries fit into the time of the request' },
  AMB1022: { severity: 'info', title: 'A path of probes counts in no statistics' },
  AMB1023: { severity: 'warning', title: 'Ejection leaves enough endpoints' },
  AMB1024: { severity: 'warning', title: 'STRICT cuts no caller off' },
  AMB1025: { severity: 'error', title: 'A NetworkPolicy lets the tunnel out' },
  AMB1026: { severity: 'error', title: 'A NetworkPolicy lets the parts of the mesh work' },
  AMB1027: { severity: 'warning', title: 'What is repeated may be done twice' },
  AMB1028: { severity: 'warning', title: 'A match can be met' },
  AMB1029: { severity: 'warning', title: 'A destination of several ports names one', equivalent: 'IST0112' },
  AMB1030: { severity: 'warning', title: 'Claims are of tokens that are verified', equivalent: 'IST0149' },
  AMB1031: { severity: 'warning', title: 'A VirtualService names no waypoint as its gateway', equivalent: 'IST0165' },
  AMB1032: { severity: 'warning', title: 'A policy for a waypoint is attached to it', equivalent: 'IST0166' },
  AMB1033: { severity: 'info', title: 'A namespace says whether it is in the mesh', equivalent: 'IST0102' },
  AMB1034: { severity: 'warning', title: 'Whom a policy names can prove who it is' },
  AMB1035: { severity: 'info', title: 'A policy names its targets in targetRefs' },
} as const satisfies Readonly<Record<string, FindingRule>>;

export type FindingCode = keyof typeof findingCodes;

/** The rule of a code. */
export function ruleOf(code: FindingCode): FindingRule {
  return findingCodes[code];
}
