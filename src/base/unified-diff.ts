// How a text has changed, as `diff -u` and git have it. For texts that differ in few lines.

const contextLines = 3;
/** So far ahead a line is looked for that both have. */
const reach = 64;

type Line = readonly [sign: ' ' | '-' | '+', text: string];

/** The change of a file as a unified diff; '' when there is none. Ends of lines are part of the lines. */
export function unifiedDiff(file: string, before: string, after: string): string {
  if (before === after) return '';
  const all = compare(split(before), split(after));
  const hunks: string[] = [];
  let [oldAt, newAt] = [1, 1];
  for (let at = 0; at < all.length; ) {
    if (all[at]?.[0] === ' ') {
      [at, oldAt, newAt] = [at + 1, oldAt + 1, newAt + 1];
      continue;
    }
    const start = Math.max(0, at - contextLines);
    const lines = all.slice(start, endOfHunk(all, at));
    const count = (sign: '-' | '+'): number => lines.filter(([one]) => one === ' ' || one === sign).length;
    const [olds, news] = [count('-'), count('+')];
    const back = at - start;
    hunks.push(`@@ -${oldAt - back},${olds} +${newAt - back},${news} @@\n${lines.map(shown).join('')}`);
    [at, oldAt, newAt] = [start + lines.length, oldAt - back + olds, newAt - back + news];
  }
  const name = file.replace(/^\/+/, '');
  return `--- a/${name}\n+++ b/${name}\n${hunks.join('')}`;
}

function shown([sign, text]: Line): string {
  return text.endsWith('\n') ? `${sign}${text}` : `${sign}${text}\n\\ No newline at end of file\n`;
}

/** Where the context after a change ends; changes with little between them are one hunk. */
function endOfHunk(all: readonly Line[], at: number): number {
  let end = at;
  for (let next = at; next < all.length && next <= end + 2 * contextLines; next++) {
    if (all[next]?.[0] !== ' ') end = next;
  }
  return Math.min(all.length, end + 1 + contextLines);
}

function compare(before: readonly string[], after: readonly string[]): Line[] {
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && before[i] === after[j]) {
      lines.push([' ', before[i]!]);
      [i, j] = [i + 1, j + 1];
      continue;
    }
    const [skipOld, skipNew] = nextCommon(before, after, i, j);
    for (const end = i + skipOld; i < end; i++) lines.push(['-', before[i]!]);
    for (const end = j + skipNew; j < end; j++) lines.push(['+', after[j]!]);
  }
  return lines;
}

/** How many lines of each stand before the next one that both have. */
function nextCommon(before: readonly string[], after: readonly string[], i: number, j: number): [number, number] {
  for (let far = 1; far <= reach; far++) {
    for (let old = 0; old <= far; old++) {
      const isCommon = i + old < before.length && before[i + old] === after[j + far - old];
      if (isCommon) return [old, far - old];
    }
  }
  return [before.length - i, after.length - j];
}

function split(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n)/);
}
