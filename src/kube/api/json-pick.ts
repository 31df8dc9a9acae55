// Reads JSON and makes only what is wanted of it. Of an object of a large cluster a tenth is kept, and to make the rest
// only to throw it away costs more than everything else that is done with it. What is left out is skipped byte by byte:
// its brackets and strings have to match, and nothing else about it is judged.

/** What to keep: all of it, these fields of it (of each element, in a list), or what a function makes of it. */
export type Keep = true | { readonly [field: string]: Keep } | ((value: unknown) => unknown);

interface Field {
  readonly name: string;
  /** The name as it stands in JSON, without its quotes. */
  readonly bytes: Buffer;
  readonly keep: Keep;
}

/** Where the reading stands. */
interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openList = 0x5b;
const backslash = 0x5c;
const closeList = 0x5d;
const openMapping = 0x7b;
const closeMapping = 0x7d;
const asciiMax = 0x7f;

const fieldsByKeep = new WeakMap<object, readonly Field[]>();

/**
 * The value in `bytes` cut down to `keep`; mappings have their fields in the order of `keep`. Throws SyntaxError for
 * what is no JSON, as far as it is looked at.
 */
export function pickJson(bytes: Buffer, keep: Keep): unknown {
  const cursor = { bytes, at: 0 };
  const value = pick(cursor, keep);
  skipSpace(cursor);
  if (cursor.at !== bytes.length) throw unexpected(cursor);
  return value;
}

/** The bytes of the value of each field of a mapping; those of another value are empty. Throws SyntaxError. */
export function fieldsOfJson(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const cursor = { bytes, at: 0 };
  const fields = new Map<string, Buffer>();
  skipSpace(cursor);
  if (bytes[cursor.at] !== openMapping) return fields;
  eachIn(cursor, closeMapping, () => {
    const name = readName(cursor);
    const from = cursor.at;
    skip(cursor);
    fields.set(name, bytes.subarray(from, cursor.at));
  });
  skipSpace(cursor);
  if (cursor.at !== bytes.length) throw unexpected(cursor);
  return fields;
}

function pick(cursor: Cursor, keep: Keep): unknown {
  skipSpace(cursor);
  if (keep === true) return read(cursor);
  if (typeof keep === 'function') return keep(read(cursor));
  const { bytes } = cursor;
  switch (bytes[cursor.at]) {
    case openMapping:
      return pickFields(cursor, keep);
    case openList: {
      const items: unknown[] = [];
      eachIn(cursor, closeList, () => {
        items.push(pick(cursor, keep));
      });
      return items;
    }
    default:
      return read(cursor);
  }
}

function pickFields(cursor: Cursor, keep: Exclude<Keep, true | ((value: unknown) => unknown)>): unknown {
  const fields = fieldsOf(keep);
  const values = new Array<unknown>(fields.length).fill(undefined);
  eachIn(cursor, closeMapping, () => {
    const at = indexOfName(cursor, fields);
    if (at < 0) skip(cursor);
    else values[at] = pick(cursor, fields[at]!.keep);
  });
  const kept: Record<string, unknown> = {};
  for (let at = 0; at < fields.length; at++) {
    if (values[at] !== undefined) kept[fields[at]!.name] = values[at];
  }
  return kept;
}

function fieldsOf(keep: { readonly [field: string]: Keep }): readonly Field[] {
  const known = fieldsByKeep.get(keep);
  if (known !== undefined) return known;
  const fields = Object.entries(keep).map(([name, inner]) => ({ name, bytes: Buffer.from(name), keep: inner }));
  fieldsByKeep.set(keep, fields);
  return fields;
}

/** Calls `take` in front of each element; afterwards the closing bracket is behind. */
function eachIn(cursor: Cursor, close: number, take: () => void): void {
  const { bytes } = cursor;
  cursor.at++;
  skipSpace(cursor);
  if (bytes[cursor.at] === close) {
    cursor.at++;
    return;
  }
  for (;;) {
    take();
    skipSpace(cursor);
    const byte = bytes[cursor.at++];
    if (byte === close) return;
    if (byte !== comma) throw unexpected(cursor);
  }
}

/** The number of the field whose name comes, -1 for another; afterwards its value comes. */
function indexOfName(cursor: Cursor, fields: readonly Field[]): number {
  const { bytes } = cursor;
  skipSpace(cursor);
  const from = cursor.at + 1;
  const isPlain = skipString(cursor);
  const length = cursor.at - 1 - from;
  const escaped = isPlain ? null : (JSON.parse(bytes.toString('utf8', from - 1, cursor.at)) as string);
  skipColon(cursor);
  if (escaped !== null) return fields.findIndex(({ name }) => name === escaped);
  for (let at = 0; at < fields.length; at++) {
    const name = fields[at]!.bytes;
    if (name.length !== length) continue;
    let step = 0;
    while (step < length && name[step] === bytes[from + step]) step++;
    if (step === length) return at;
  }
  return -1;
}

function readName(cursor: Cursor): string {
  skipSpace(cursor);
  const name = readString(cursor);
  skipColon(cursor);
  return name;
}

/** Afterwards a value comes. */
function skipColon(cursor: Cursor): void {
  skipSpace(cursor);
  if (cursor.bytes[cursor.at++] !== colon) throw unexpected(cursor);
  skipSpace(cursor);
}

/** All of the value that comes. */
function read(cursor: Cursor): unknown {
  const { bytes } = cursor;
  if (bytes[cursor.at] === quote) return readString(cursor);
  const from = cursor.at;
  skip(cursor);
  return JSON.parse(bytes.toString('utf8', from, cursor.at));
}

function readString(cursor: Cursor): string {
  const { bytes } = cursor;
  const from = cursor.at;
  // A copy: part of a larger text would keep all of that in memory.
  if (skipString(cursor)) return bytes.toString('latin1', from + 1, cursor.at - 1);
  return JSON.parse(bytes.toString('utf8', from, cursor.at)) as string;
}

/** True for a string of plain characters, which means what its bytes say. */
function skipString(cursor: Cursor): boolean {
  const { bytes } = cursor;
  if (bytes[cursor.at] !== quote) throw unexpected(cursor);
  let isPlain = true;
  for (let at = cursor.at + 1; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === quote) {
      cursor.at = at + 1;
      return isPlain;
    }
    if (byte === backslash) {
      isPlain = false;
      at++;
    } else if (byte > asciiMax || byte < 0x20) isPlain = false;
  }
  throw ended();
}

function skip(cursor: Cursor): void {
  const { bytes } = cursor;
  const first = bytes[cursor.at];
  if (first === quote) skipString(cursor);
  else if (first === openMapping || first === openList) skipNested(cursor);
  else {
    const from = cursor.at;
    let at = from;
    while (at < bytes.length && !isEnd(bytes[at]!)) at++;
    cursor.at = at;
    if (at === from) throw unexpected(cursor);
  }
}

function skipNested(cursor: Cursor): void {
  const { bytes } = cursor;
  const { length } = bytes;
  let depth = 0;
  let at = cursor.at;
  while (at < length) {
    const byte = bytes[at++]!;
    if (byte === quote) {
      while (at < length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
      at++;
    } else if (byte === openMapping || byte === openList) depth++;
    else if (byte === closeMapping || byte === closeList) {
      depth--;
      if (depth === 0) {
        cursor.at = at;
        return;
      }
    }
  }
  throw ended();
}

function isEnd(byte: number): boolean {
  return byte === comma || byte === closeMapping || byte === closeList || isSpace(byte);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipSpace(cursor: Cursor): void {
  const { bytes } = cursor;
  while (cursor.at < bytes.length && isSpace(bytes[cursor.at]!)) cursor.at++;
}

function unexpected({ bytes, at }: Cursor): SyntaxError {
  return at >= bytes.length ? ended() : new SyntaxError(`unexpected byte ${bytes[at]} at ${at}`);
}

function ended(): SyntaxError {
  return new SyntaxError('unexpected end');
}
