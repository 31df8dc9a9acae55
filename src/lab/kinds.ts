// The words for kinds that people type: `po`, `pods`, `Pod`.
const shortNames: Readonly<Record<string, string>> = {
  po: 'Pod',
  svc: 'Service',
  ns: 'Namespace',
  no: 'Node',
  sa: 'ServiceAccount',
  deploy: 'Deployment',
  rs: 'ReplicaSet',
  sts: 'StatefulSet',
  ds: 'DaemonSet',
  cm: 'ConfigMap',
  ap: 'AuthorizationPolicy',
  pa: 'PeerAuthentication',
  ra: 'RequestAuthentication',
  vs: 'VirtualService',
  dr: 'DestinationRule',
  gw: 'Gateway',
  eps: 'EndpointSlice',
  ev: 'Event',
};

/**
 * The kind that `word` means among `known` ones, in any case, singular or plural, or short; `word` itself when it is
 * none of these.
 */
export function kindOf(word: string, known: readonly string[]): string {
  const lower = word.toLowerCase();
  const short = shortNames[lower];
  if (short !== undefined) return short;
  for (const kind of [...known, ...Object.values(shortNames)]) {
    const single = kind.toLowerCase();
    if (lower === single || lower === `${single}s` || lower === `${single}es` || lower === single.replace(/y$/, 'ies'))
      return kind;
  }
  return word;
}
