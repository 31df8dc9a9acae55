// The static table of HPACK (RFC 7541, appendix A), and the look-ups that decoder and encoder need.

/** Entry i of the table is `[name, value]`, counted from 1; entry 0 is a placeholder. */
export const staticTable: readonly (readonly [string, string])[] = [
  ['', ''],
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

export const staticLength: number = staticTable.length - 1;

/** A name of the static table. */
export interface StaticName {
  /** Of its first entry. */
  readonly index: number;
  /** Index of each whole entry by its value. */
  readonly byValue: ReadonlyMap<string, number>;
}

/** The static table by name. */
export const staticNames: ReadonlyMap<string, StaticName> = namesOf();

function namesOf(): Map<string, StaticName> {
  const names = new Map<string, { index: number; byValue: Map<string, number> }>();
  for (const [index, [name, value]] of staticTable.entries()) {
    if (index === 0) continue;
    const known = names.get(name) ?? { index, byValue: new Map<string, number>() };
    known.byValue.set(value, index);
    names.set(name, known);
  }
  return names;
}
