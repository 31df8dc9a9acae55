// Heads as they go out. Lines pass in runs, so that order, case and repetition stay as they came; what ends at this hop
// and what the changes remove or set is cut out between them. Framing is made anew.
import type { ComposedRequest, HeadChanges, Headers, RequestChanges, RequestHead } from '../message.ts';
import { newWebSocketKey, webSocketKey } from '../upgrade.ts';
import { ByteWriter } from './byte-writer.ts';
import { authorityBytes, hashName, targetBytes, tokenLower } from './characters.ts';
import { type HeadLines, Slot, slotSize } from './head-lines.ts';
import { H1RequestHead } from './heads.ts';
import { firstHopName, Name, numberOfWord } from './known-names.ts';

/** What of the head that came does not go on, beside what ends at this hop anyway. */
export interface LineRules {
  /** `Upgrade` passes: the request for it, or the 101. */
  readonly upgrade: boolean;
  /** `Content-Length` is left out. */
  readonly noLength: boolean;
  /** Goes where `Host` was; null leaves it as it came. */
  readonly authority: string | null;
}

/** What went out. */
export interface Written {
  hasHost: boolean;
  hasLength: boolean;
}

const writer = new ByteWriter();
const written: Written = { hasHost: false, hasLength: false };

/**
 * The head that goes to an endpoint, with `changes` made. Of any protocol's head; values of `changes` cannot break out
 * of their line. `Connection`, framing and `Host` are the codec's own: changes of them are passed over (the authority
 * has a field of its own).
 */
export function composeRequest(head: RequestHead, changes: RequestChanges | null): ComposedRequest {
  const out = writer;
  out.at = 0;
  const method = changes?.method ?? head.method;
  writeToken(out, method, head.method);
  out.text(' ');
  const lines = head instanceof H1RequestHead ? head.lines : null;
  const target = changes?.target ?? null;
  if (target !== null) writeTarget(out, target);
  else if (lines !== null && (head as H1RequestHead).isOriginForm) {
    out.copy(lines.memory, lines.base + lines.secondFrom, lines.base + lines.secondTo);
  } else writeTarget(out, head.target);
  out.text(' HTTP/1.1\r\n');
  const { contentLength, upgrade } = head;
  const authority = changes?.authority ?? (lines === null ? head.authority : null);
  const rules = { upgrade: upgrade !== null, noLength: contentLength < 0, authority };
  if (lines === null) {
    writeHost(out, authority ?? '');
    written.hasHost = true;
    writeForeign(out, head.headers, changes, rules);
  } else {
    writeLines(out, lines, changes, rules);
  }
  if (!written.hasHost) writeHost(out, authority ?? head.authority);
  if (upgrade !== null) {
    if (lines === null) writeUpgrade(out, upgrade, head.headers);
    out.text('connection: upgrade\r\n');
  }
  if (contentLength < 0) out.text('transfer-encoding: chunked\r\n');
  else if (!written.hasLength && (contentLength > 0 || wantsLength(method))) writeLength(out, contentLength);
  writeAdded(out, changes);
  out.text('\r\n');
  const bytes = Buffer.allocUnsafe(out.at);
  out.bytes.copy(bytes, 0, 0, out.at);
  return { protocol: 'http1', bytes, method, contentLength, upgrade };
}

/** Of a client whose protocol has other words for it. */
function writeUpgrade(out: ByteWriter, upgrade: string, headers: Headers): void {
  out.line('upgrade', upgrade);
  if (upgrade === 'websocket' && !headers.has(webSocketKey)) out.line(webSocketKey, newWebSocketKey());
}

/** Without a body these say so (RFC 9110 §8.6). */
function wantsLength(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

/** `content-length: N` CRLF. */
export function writeLength(out: ByteWriter, length: number): void {
  out.text('content-length: ');
  out.decimal(length);
  out.text('\r\n');
}

/** Copies the lines that pass. Returns what of them the caller must know; valid until the next call. */
export function writeLines(out: ByteWriter, lines: HeadLines, changes: HeadChanges | null, rules: LineRules): Written {
  const cuts = cutsOf(changes);
  written.hasHost = written.hasLength = false;
  let from = lines.linesAt;
  for (let line = 0; line < lines.count; line++) {
    const number = lines.numberAt(line);
    if (number === Name.none && cuts === 0) continue;
    const isHost = number === Name.host;
    if (isHost) written.hasHost = true;
    const isKept = isHost ? rules.authority === null : isKeptLine(number, rules);
    if (isKept && (isHost || !isCut(lines, line, cuts))) {
      if (number === Name.contentLength) written.hasLength = true;
      continue;
    }
    const start = lines.slots[line * slotSize + Slot.nameFrom]!;
    if (start > from) out.copy(lines.memory, lines.base + from, lines.base + start);
    if (isHost && rules.authority !== null) {
      out.copy(lines.memory, lines.base + start, lines.base + lines.slots[line * slotSize + Slot.nameTo]!);
      out.text(': ');
      writeAuthority(out, rules.authority);
      out.text('\r\n');
    }
    from = lines.lineEnd(line);
  }
  const end = lines.length - 2;
  if (end > from) out.copy(lines.memory, lines.base + from, lines.base + end);
  return written;
}

function isKeptLine(number: number, rules: LineRules): boolean {
  if (number >= firstHopName) return rules.upgrade && number === Name.upgrade;
  return number !== Name.contentLength || !rules.noLength;
}

/** Lines of a head of another protocol. */
export function writeForeign(
  out: ByteWriter,
  headers: Headers,
  changes: HeadChanges | null,
  rules: LineRules,
): Written {
  const cuts = cutsOf(changes);
  written.hasLength = false;
  headers.each((name, value) => {
    const lower = name.toLowerCase();
    const number = numberOfWord(lower);
    const passes = number < firstHopName || (number === Name.te && value === 'trailers');
    if (number === Name.host || !(passes || (rules.upgrade && number === Name.upgrade))) return;
    if (number === Name.contentLength) {
      if (rules.noLength) return;
      written.hasLength = true;
    } else if (cuts > 0 && cutNames.includes(lower)) return;
    out.line(name, value);
  });
  return written;
}

/** What `changes` set and add. */
export function writeAdded(out: ByteWriter, changes: HeadChanges | null): void {
  if (changes === null) return;
  for (const [name, value] of changes.set) if (!isOwn(name)) out.line(name, value);
  for (const [name, value] of changes.add) if (!isOwn(name)) out.line(name, value);
}

/** Names whose lines are the codec's own. */
function isOwn(name: string): boolean {
  const number = numberOfWord(name.toLowerCase());
  return number >= firstHopName || number === Name.host || number === Name.contentLength;
}

let cutNames: string[] = [];
let cutHashes: number[] = [];

/** Names that `changes` remove or set; returns how many. */
function cutsOf(changes: HeadChanges | null): number {
  if (changes === null || (changes.remove.length === 0 && changes.set.length === 0)) return 0;
  cutNames = [];
  cutHashes = [];
  for (const name of changes.remove) if (!isOwn(name)) addCut(name);
  for (const [name] of changes.set) if (!isOwn(name)) addCut(name);
  return cutNames.length;
}

function addCut(name: string): void {
  cutNames.push(name);
  cutHashes.push(hashName(name));
}

function isCut(lines: HeadLines, line: number, cuts: number): boolean {
  const hash = lines.slots[line * slotSize + Slot.hash]!;
  for (let at = 0; at < cuts; at++) {
    if (cutHashes[at] === hash && lines.nameIs(line, hash, cutNames[at]!)) return true;
  }
  return false;
}

function writeHost(out: ByteWriter, authority: string): void {
  out.text('host: ');
  writeAuthority(out, authority);
  out.text('\r\n');
}

function writeAuthority(out: ByteWriter, authority: string): void {
  for (let at = 0; at < authority.length; at++) {
    const code = authority.charCodeAt(at);
    if (code > 127 || authorityBytes[code] === 0) return;
  }
  out.text(authority);
}

function writeToken(out: ByteWriter, token: string, otherwise: string): void {
  for (let at = 0; at < token.length; at++) {
    const code = token.charCodeAt(at);
    if (code > 127 || tokenLower[code] === 0) {
      out.text(otherwise);
      return;
    }
  }
  out.text(token === '' ? otherwise : token);
}

/** What may not stand in a target is escaped. */
function writeTarget(out: ByteWriter, target: string): void {
  let isPlain = target.length > 0;
  for (let at = 0; at < target.length && isPlain; at++) {
    const code = target.charCodeAt(at);
    isPlain = code < 128 && targetBytes[code] === 1;
  }
  if (isPlain) {
    out.text(target);
    return;
  }
  if (target === '') out.text('/');
  for (const byte of Buffer.from(target, 'utf8')) {
    if (byte < 128 && targetBytes[byte] === 1) out.text(String.fromCharCode(byte));
    else out.text(`%${byte.toString(16).toUpperCase().padStart(2, '0')}`);
  }
}
