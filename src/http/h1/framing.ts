// What the header lines of a head say about the message and the connection (RFC 9112 §6, §9, RFC 9110 §7.6): where the
// body ends, whether the connection stays, what is asked for. It marks the lines that end at this hop.
import { Byte, hashName, tokenLower } from './characters.ts';
import { type HeadLines, Slot, slotSize } from './head-lines.ts';
import { Name, numberOfName } from './known-names.ts';
import { type H1Limits, malformed, type Refusal, tooMuch } from './limits.ts';

const { space, tab, comma, zero, nine } = Byte;
const grpcType = 'application/grpc';
const closeHash = hashName('close');
const keepAliveHash = hashName('keep-alive');
const upgradeHash = hashName('upgrade');

/** Filled by `read`; one per thread. */
export class Framing {
  /** Value of Content-Length; -1 without one. */
  contentLength = -1;
  chunked = false;
  /** Options of `Connection`. */
  close = false;
  keepAlive = false;
  upgrades = false;
  expect = false;
  expectsOther = false;
  grpc = false;
  /** Lines; -1 without one. */
  hostLine = -1;
  upgradeLine = -1;
  contentLengthLine = -1;
  hosts = 0;
  #lengths = 0;
  #codings = 0;
  #options = 0;
  #nominates = false;

  /** Returns why the head cannot be taken, or null. */
  read(lines: HeadLines, limits: H1Limits): Refusal | null {
    this.#clear();
    const { count, slots } = lines;
    for (let line = 0; line < count; line++) {
      const number = slots[line * slotSize]!;
      if (number === Name.none) continue;
      const refusal = this.#line(lines, line, number, limits);
      if (refusal !== null) return refusal;
    }
    if (this.#lengths > 1) return malformed('several Content-Length');
    if (this.#codings > 1) return malformed('several Transfer-Encoding');
    if (this.#codings > 0) {
      if (this.#lengths > 0) return malformed('both Content-Length and Transfer-Encoding');
      if (lines.minor === 0) return malformed('Transfer-Encoding in HTTP/1.0');
    }
    if (this.#nominates) this.#dropNominated(lines);
    return null;
  }

  #clear(): void {
    this.contentLength = this.hostLine = this.upgradeLine = this.contentLengthLine = -1;
    this.chunked = this.close = this.keepAlive = this.upgrades = false;
    this.expect = this.expectsOther = this.grpc = this.#nominates = false;
    this.hosts = this.#lengths = this.#codings = this.#options = 0;
  }

  #line(lines: HeadLines, line: number, number: number, limits: H1Limits): Refusal | null {
    switch (number) {
      case Name.host:
        this.hosts++;
        this.hostLine = line;
        return null;
      case Name.contentLength:
        this.#lengths++;
        this.contentLengthLine = line;
        if (hasTab(lines, line)) return malformed('tab beside Content-Length');
        this.contentLength = lengthOf(lines, line);
        return this.contentLength < 0 ? malformed('bad Content-Length') : null;
      case Name.transferEncoding:
        this.#codings++;
        if (hasTab(lines, line)) return malformed('tab beside Transfer-Encoding');
        this.chunked = lines.valueIs(line, 'chunked');
        return this.chunked ? null : badCoding(lines, line);
      case Name.connection:
        return this.#connection(lines, line, limits);
      case Name.upgrade:
        this.upgradeLine = this.upgradeLine < 0 ? line : this.upgradeLine;
        return null;
      case Name.te:
        if (lines.valueIs(line, 'trailers')) lines.slots[line * slotSize] = Name.none;
        else lines.drop(line);
        return null;
      case Name.expect:
        if (lines.valueIs(line, '100-continue')) this.expect = true;
        else this.expectsOther = true;
        return null;
      case Name.contentType:
        this.grpc = startsWith(lines, line, grpcType);
        return null;
      default:
        return null;
    }
  }

  /** Each option once over the bytes; names that are nominated are dropped when all lines are known. */
  #connection(lines: HeadLines, line: number, limits: H1Limits): Refusal | null {
    for (const { hash } of optionsOf(lines, line)) {
      if (++this.#options > limits.connectionOptionsMax) {
        return tooMuch('connectionOptionsMax', limits.connectionOptionsMax, 'the Connection header');
      }
      if (hash === closeHash) this.close = true;
      else if (hash === keepAliveHash) this.keepAlive = true;
      else if (hash === upgradeHash) this.upgrades = true;
      else this.#nominates = true;
    }
    return null;
  }

  #dropNominated(lines: HeadLines): void {
    for (let line = 0; line < lines.count; line++) {
      if (lines.numberAt(line) !== Name.connection) continue;
      for (const { hash, from, to } of optionsOf(lines, line)) {
        // What the codec knows has its own rule, and what says who asks, or what comes, cannot be taken away.
        if (numberOfName(hash, lines.memory, lines.base + from, lines.base + to) !== Name.none) continue;
        for (let other = 0; other < lines.count; other++) {
          if (lines.slots[other * slotSize + Slot.hash] === hash && isSameName(lines, other, from, to)) {
            lines.drop(other);
          }
        }
      }
    }
  }
}

interface Option {
  readonly hash: number;
  readonly from: number;
  readonly to: number;
}

const justClose: readonly Option[] = [{ hash: closeHash, from: 0, to: 0 }];
const justKeepAlive: readonly Option[] = [{ hash: keepAliveHash, from: 0, to: 0 }];

/** The options of a `Connection` line; a member that is no token is passed over. */
function optionsOf(lines: HeadLines, line: number): readonly Option[] {
  if (lines.valueIs(line, 'keep-alive')) return justKeepAlive;
  if (lines.valueIs(line, 'close')) return justClose;
  const options: Option[] = [];
  const { memory, base, slots } = lines;
  const end = slots[line * slotSize + Slot.valueTo]!;
  let at = slots[line * slotSize + Slot.valueFrom]!;
  while (at < end) {
    while (at < end && isBlank(memory[base + at]!)) at++;
    const from = at;
    let hash = 0;
    for (; at < end; at++) {
      const lower = tokenLower[memory[base + at]!]!;
      if (lower === 0) break;
      hash = (Math.imul(hash, 31) + lower) | 0;
    }
    const to = at;
    while (at < end && isBlank(memory[base + at]!)) at++;
    const isWhole = at >= end || memory[base + at] === comma;
    if (isWhole && to > from) options.push({ hash, from, to });
    while (at < end && memory[base + at] !== comma) at++;
    at++;
  }
  return options;
}

/** A tab around the value: the RFC allows it, and servers disagree on what the value is then. */
function hasTab(lines: HeadLines, line: number): boolean {
  const { memory, base, slots } = lines;
  const at = line * slotSize;
  const to = slots[at + Slot.valueTo]!;
  for (let i = slots[at + Slot.nameTo]! + 1; i < slots[at + Slot.valueFrom]!; i++) {
    if (memory[base + i] === tab) return true;
  }
  for (let i = to; i < lines.lineEnd(line); i++) if (memory[base + i] === tab) return true;
  return false;
}

function isBlank(code: number): boolean {
  return code === space || code === tab;
}

function isSameName(lines: HeadLines, line: number, from: number, to: number): boolean {
  const { memory, base, slots } = lines;
  const nameFrom = slots[line * slotSize + Slot.nameFrom]!;
  if (slots[line * slotSize + Slot.nameTo]! - nameFrom !== to - from) return false;
  for (let i = 0; i < to - from; i++) {
    if (tokenLower[memory[base + nameFrom + i]!] !== tokenLower[memory[base + from + i]!]) return false;
  }
  return true;
}

/** Digits and nothing else, up to 2^53; -1 for anything that is not. */
function lengthOf(lines: HeadLines, line: number): number {
  const { memory, base, slots } = lines;
  const from = slots[line * slotSize + Slot.valueFrom]!;
  const to = slots[line * slotSize + Slot.valueTo]!;
  if (from === to || to - from > 15) return -1;
  let value = 0;
  for (let at = from; at < to; at++) {
    const code = memory[base + at]!;
    if (code < zero || code > nine) return -1;
    value = value * 10 + code - zero;
  }
  return value;
}

/** `chunked` is the one coding there is; a list that ends with it is well-formed, yet not for us (RFC 9112 §6.1). */
function badCoding(lines: HeadLines, line: number): Refusal {
  const text = lines.valueText(line).toLowerCase();
  const codings = text.split(',').map((coding) => coding.trim());
  const isListed = codings.length > 1 && codings.every((coding) => /^[a-z]+$/.test(coding));
  const isKnown = isListed && codings.at(-1) === 'chunked' && codings.indexOf('chunked') === codings.length - 1;
  return isKnown
    ? malformed('Transfer-Encoding other than chunked', 501)
    : malformed('Transfer-Encoding that does not end with chunked alone');
}

function startsWith(lines: HeadLines, line: number, word: string): boolean {
  const { memory, base, slots } = lines;
  const from = base + slots[line * slotSize + Slot.valueFrom]!;
  if (slots[line * slotSize + Slot.valueTo]! - slots[line * slotSize + Slot.valueFrom]! < word.length) return false;
  for (let at = 0; at < word.length; at++) {
    const code = memory[from + at]!;
    if ((code >= 65 && code <= 90 ? code + 32 : code) !== word.charCodeAt(at)) return false;
  }
  return true;
}
