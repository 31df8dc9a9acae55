// Numbers and times as the page shows them: short, with a unit, and never rounded to something that is not true.

/** A space that does not break, between a number and its unit. */
const gap = ' ';

/** `0/s`, `0.4/s`, `12/s`, `1.2k/s`. */
export function rateText(perS: number): string {
  return `${countText(perS)}/s`;
}

/** `0`, `0.04`, `0.4`, `12`, `1.2k`, `3.4M`. */
export function countText(value: number): string {
  if (value >= 999_950) return `${trim(value / 1e6, value < 99.95e6 ? 1 : 0)}M`;
  if (value >= 999.5) return `${trim(value / 1000, value < 99_950 ? 1 : 0)}k`;
  if (value >= 9.95 || value === 0) return String(Math.round(value));
  return trim(value, value < 0.095 ? 2 : 1);
}

/** `100 %`, `99.9 %`, `<0.1 %`; only all is 100, and only nothing is 0. A dash for null. */
export function percentText(share: number | null): string {
  if (share === null) return '–';
  const percent = share * 100;
  if (percent >= 100) return `100${gap}%`;
  if (percent <= 0) return `0${gap}%`;
  if (percent < 0.1) return `<0.1${gap}%`;
  // 28.9 may be 28.899999… in binary; what is below 100 stays there all the same.
  return `${trim(Math.min(99.9, Math.floor(percent * 10 + 1e-9) / 10), 1)}${gap}%`;
}

/** `0.4 ms`, `14 ms`, `1.25 s`, `2.5 min`; a dash for null. */
export function durationText(ms: number | null): string {
  if (ms === null) return '–';
  if (ms >= 60_000) return `${trim(ms / 60_000, 1)}${gap}min`;
  if (ms >= 999.5) return `${trim(ms / 1000, 2)}${gap}s`;
  if (ms > 0 && ms < 0.05) return `<0.1${gap}ms`;
  return `${ms >= 9.95 ? Math.round(ms) : trim(ms, 1)}${gap}ms`;
}

/** `0 B`, `12 kB`, `3.4 MB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 9.95 || unit === 0 ? Math.round(value) : trim(value, 1)}${gap}${units[unit]}`;
}

/** How long ago or how long yet: `12 s`, `3 min`, `2 h`, `4 d`. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds}${gap}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}${gap}min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}${gap}h`;
  return `${Math.floor(seconds / 86_400)}${gap}d`;
}

/** `03:12:40` of RFC 3339 or milliseconds since 1970, on the reader's clock; with the date where it is another day. */
export function clockText(time: string | number, nowMs: number): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return '–';
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const now = new Date(nowMs);
  if (at.toDateString() === now.toDateString()) return clock;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

/** `1 service`, `3 services`; of an uncommon word the plural is given. */
export function plural(count: number, word: string, words = `${word}s`): string {
  return `${count} ${count === 1 ? word : words}`;
}

function trim(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
