// Where a text stops being JSON, of what the runtime says about it.

/** `:LINE:COLUMN` of the error of `JSON.parse(text)`; '' for any other error. */
export function jsonPlace(error: unknown, text: string): string {
  if (!(error instanceof SyntaxError)) return '';
  const told = /position (\d+)/.exec(error.message)?.[1];
  const token = /^Unexpected token '(.+?)', (?:\.\.\.)?"([\s\S]*?)"(?:\.\.\.)? is not valid JSON$/.exec(error.message);
  const at = told !== undefined ? Number(told) : token === null ? text.length : placeOfToken(text, token);
  const before = text.slice(0, at).split('\n');
  return `:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

/** The runtime shows what stands around the token, and not where. */
function placeOfToken(text: string, [, token = '', around = '']: RegExpExecArray): number {
  const start = Math.max(text.indexOf(around), 0);
  const half = text.startsWith(around) ? 0 : Math.floor(around.length / 2) - 1;
  const at = text.indexOf(token, start + half);
  return at < 0 ? start : at;
}
