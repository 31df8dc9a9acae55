// Numbers as a row of small bars.

const bars = '▁▂▃▄▅▆▇█';

/** One letter for each of at most `width` means of `values`, from 0 to the largest; '' for none. */
export function sparkline(values: readonly number[], width = 60): string {
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, index) => {
    const part = values.slice(
      Math.floor((index * values.length) / count),
      Math.floor(((index + 1) * values.length) / count),
    );
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const most = Math.max(...means, Number.EPSILON);
  return means.map((mean) => bars[Math.min(bars.length - 1, Math.floor((mean / most) * bars.length))]).join('');
}
