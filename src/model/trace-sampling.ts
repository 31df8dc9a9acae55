// How many requests to the services of a namespace are traced, as its annotation says it. See docs/traces.md.
import type { Labels } from './resources.ts';

export const traceSamplingAnnotation = 'ambient.mesh/trace-sampling-percent';

/** 0 to 100; null where nothing is said that can be read. */
export function traceSamplingOf(annotations: Labels): number | null {
  const text = annotations[traceSamplingAnnotation];
  if (text === undefined || !/^\d{1,3}(\.\d{1,6})?$/.test(text)) return null;
  const percent = Number(text);
  return percent <= 100 ? percent : null;
}
