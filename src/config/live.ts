// Which fields of a proxy's configuration change without a restart, and how two configurations differ.
import type { ProxyConfig } from './proxy.ts';

/** Fields that a running proxy takes over, by path; everything below a name counts. */
const liveFields = [
  'log.level',
  'log.format',
  'log.access',
  'tracing.samplingPercent',
  'tracing.namespaces',
  'tracing.connections',
  'limits',
  'timeouts',
] as const;

/** Paths of values (`limits.connectionsMax`) that are not the same, in the order of the configuration. */
export function changedFields(before: ProxyConfig, after: ProxyConfig): string[] {
  const changed: string[] = [];
  compare(before, after, '', changed);
  return changed;
}

/** True for a path of `changedFields` that needs no restart. */
export function isLive(field: string): boolean {
  return liveFields.some((live) => field === live || field.startsWith(`${live}.`));
}

/** `running` with the live fields of `file`. */
export function withLiveFields<Config extends ProxyConfig>(running: Config, file: Config): Config {
  const { level, format, access } = file.log;
  const log = Object.freeze({ ...running.log, level, format, access });
  const { samplingPercent, namespaces, connections } = file.tracing;
  const tracing = Object.freeze({ ...running.tracing, samplingPercent, namespaces, connections });
  return Object.freeze({ ...running, log, tracing, limits: file.limits, timeouts: file.timeouts });
}

function compare(before: unknown, after: unknown, path: string, changed: string[]): void {
  if (!isMapping(before) || !isMapping(after)) {
    if (JSON.stringify(before) !== JSON.stringify(after)) changed.push(path);
    return;
  }
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    compare(before[name], after[name], path === '' ? name : `${path}.${name}`, changed);
  }
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
