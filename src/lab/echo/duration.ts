import { parseDurationMs } from '../../base/duration.ts';
import { MeshError } from '../../base/errors.ts';

/**
 * A duration (`250ms`, `1.5s`, `1m30s`) or a bare number of milliseconds, in milliseconds. Throws CONFIG_INVALID at
 * `place`.
 */
export function durationOf(text: string, place: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) : parseDurationMs(text);
  if (ms === null)
    throw new MeshError('CONFIG_INVALID', { place, reason: `'${text}' is no duration like 250ms or 1m30s` });
  return ms;
}
