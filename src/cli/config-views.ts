// The names of the views of `ambientctl config`: apart, so that help and completion need not load the tables.
export const configViews = [
  'workloads',
  'services',
  'policies',
  'certs',
  'revocations',
  'connections',
  'routes',
  'ejected',
  'capture',
  'all',
] as const;
export type ConfigView = (typeof configViews)[number];

/** Views that `-l` narrows, and the kinds whose labels are meant. */
export const selectedKinds: Partial<Record<ConfigView, readonly string[]>> = {
  workloads: ['Pod'],
  services: ['Service'],
  policies: ['AuthorizationPolicy', 'PeerAuthentication'],
  connections: ['Pod'],
  routes: ['Service'],
  ejected: ['Service'],
};

/** What `-o name` prints before the names of a view, where it lists objects. */
export const objectWords: Partial<Record<ConfigView, string>> = { workloads: 'pod', services: 'service' };
