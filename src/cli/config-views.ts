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
