// Which of the two text formats of a scrape: Prometheus's own, which everybody reads, or OpenMetrics, which can carry
// exemplars. The text is made in the first, and told in the second to whoever asks.

/** A scrape as it is answered. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

const prometheusType = 'text/plain; version=0.0.4; charset=utf-8';
const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** True when the header `Accept` names OpenMetrics at all: who can read it prefers it, as Prometheus does. */
export function wantsOpenMetrics(accept: string): boolean {
  return /\bapplication\/openmetrics-text\b(?!\s*;[^,]*\bq=0(\.0*)?\s*(,|$))/i.test(accept);
}

/** `text`, which is in Prometheus's format, as `accept` wants it. OpenMetrics 1.0 names families without `_total`. */
export function expositionOf(text: string, accept: string): Exposition {
  if (!wantsOpenMetrics(accept)) return { contentType: prometheusType, text };
  const counters = new Set(Array.from(text.matchAll(/^# TYPE (\S+)_total counter$/gm), ([, family]) => family));
  const families = text.replace(/^# (HELP|TYPE) (\S+)_total /gm, (line, what, family) =>
    counters.has(family) ? `# ${what} ${family} ` : line,
  );
  // No empty lines, and the end is said.
  return { contentType: openMetricsType, text: `${families.replace(/\n{2,}/g, '\n').trim()}\n# EOF\n` };
}
