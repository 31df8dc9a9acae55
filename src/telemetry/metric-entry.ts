// What is said of a metric, and by whom it is exported.
export type MetricType = 'counter' | 'gauge' | 'histogram';
export type Exporter = 'node' | 'waypoint' | 'controller';

export interface MetricEntry {
  readonly type: MetricType;
  readonly by: readonly Exporter[];
  /** Names of labels; a metric may have others that mean nothing, such as `le`. */
  readonly labels: readonly string[];
  readonly help: string;
  /** What an operator sees when all is well, and what it says when not. */
  readonly normal: string;
  /** The name stays; of the others HELP says "(unstable)". */
  readonly stable: boolean;
}

export const nodes: readonly Exporter[] = ['node'];
export const waypoints: readonly Exporter[] = ['waypoint'];
export const proxies: readonly Exporter[] = ['node', 'waypoint'];
export const controllers: readonly Exporter[] = ['controller'];
export const everyProgram: readonly Exporter[] = ['node', 'waypoint', 'controller'];

/** One row of the catalogue. */
export function entry(
  type: MetricType,
  by: readonly Exporter[],
  labels: readonly string[],
  help: string,
  normal: string,
  stable = false,
): MetricEntry {
  return { type, by, labels, help, normal, stable };
}
