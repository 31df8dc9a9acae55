// Which bytes may stand where in an HTTP/1.1 head, as tables of 256, and the hash by which header names are compared
// before their bytes are.

export const Byte = {
  tab: 9,
  lf: 10,
  cr: 13,
  space: 32,
  comma: 44,
  slash: 47,
  zero: 48,
  nine: 57,
  colon: 58,
  semicolon: 59,
  equals: 61,
  quote: 34,
  backslash: 92,
} as const;

function tableOf(allowed: (code: number) => boolean): Uint8Array {
  const table = new Uint8Array(256);
  for (let code = 0; code < 256; code++) if (allowed(code)) table[code] = 1;
  return table;
}

const tokenMarks = "!#$%&'*+-.^_`|~";
const isAlphanumeric = (code: number): boolean => /[0-9A-Za-z]/.test(String.fromCharCode(code));
const isIn = (marks: string, code: number): boolean => code < 128 && marks.includes(String.fromCharCode(code));

/** A token character in lower case, 0 for any other byte (RFC 9110 §5.6.2). */
export const tokenLower: Uint8Array = tableOf((code) => isAlphanumeric(code) || isIn(tokenMarks, code));
for (let code = 0; code < 256; code++) {
  if (tokenLower[code] === 1) tokenLower[code] = code >= 65 && code <= 90 ? code + 32 : code;
}

/** Field values: visible characters, space, tab, and bytes above ASCII (RFC 9110 §5.5). */
export const valueBytes: Uint8Array = tableOf((code) => code === Byte.tab || (code >= 32 && code !== 127));

/**
 * Request targets. More than a URI may contain (`"<>\^`{|}` are sent by many clients), less than others take: no `#`,
 * and nothing above ASCII, so that a policy sees the very characters that it was written with.
 */
export const targetBytes: Uint8Array = tableOf((code) => code > 32 && code < 127 && code !== 35);

/** `host[:port]` (RFC 3986 §3.2.2): no user information, no delimiter of anything larger. */
export const authorityBytes: Uint8Array = tableOf((code) => isAlphanumeric(code) || isIn("-._~%!$&'()*+,;=:[]", code));

/** Value of a hexadecimal digit, 255 for any other byte. */
export const hexValue: Uint8Array = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  hexValue[value.toString(16).charCodeAt(0)] = value;
  hexValue[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/** The hash of a header name, which is in lower case: the one that the parser rolls over the bytes. */
export function hashName(name: string): number {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, 31) + name.charCodeAt(at)) | 0;
  return hash;
}

/** True when the bytes `[from, to)` are `word`, which is ASCII in lower case, in any case. */
export function isWord(bytes: Buffer, from: number, to: number, word: string): boolean {
  if (to - from !== word.length) return false;
  for (let at = 0; at < word.length; at++) {
    const code = bytes[from + at]!;
    if ((code >= 65 && code <= 90 ? code + 32 : code) !== word.charCodeAt(at)) return false;
  }
  return true;
}
