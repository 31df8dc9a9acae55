// Durations as people write them, in milliseconds: `500ms`, `1.5s`, `1h30m`. Who allows less checks that before.
const unitMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const pattern = /^(\d+(\.\d+)?(ns|us|ms|s|m|h|d))+$/;

/** The milliseconds of amounts with a unit each, from `ns` to `d`, added up; null for anything else. */
export function parseDurationMs(text: string): number | null {
  if (!pattern.test(text)) return null;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)([a-z]+)/g)) {
    sum += Number(amount) * unitMs[unit as keyof typeof unitMs];
  }
  return sum;
}
