// Request and response heads over parsed lines: the contract's view of them, and the rules that need more than one line
// (RFC 9112 §3.2: target forms and Host). Simple fields outlive the request; `headers` are empty once it is over.
import type { Headers, RequestHead, ResponseHead } from '../message.ts';
import { authorityBytes, Byte } from './characters.ts';
import type { Framing } from './framing.ts';
import { giveLines, type HeadLines, noHeaders, Slot, slotSize } from './head-lines.ts';
import { malformed, type Refusal } from './limits.ts';

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE'] as const;
const { slash, colon } = Byte;

/** The request head of HTTP/1.1; made by `readRequestHead`. */
export class H1RequestHead implements RequestHead {
  readonly protocol = 'http1';
  readonly method: string;
  readonly contentLength: number;
  readonly expectsContinue: boolean;
  readonly upgrade: string | null;
  readonly grpc: boolean;
  readonly headBytes: number;
  readonly scheme: string;
  /** 0 or 1: HTTP/1.0 or 1.1. */
  readonly minor: number;
  /** The client keeps the connection, as far as it says. */
  readonly keepsAlive: boolean;
  /** Null once the request is over. */
  lines: HeadLines | null;
  readonly #target: AbsoluteTarget | null;
  readonly #hostLine: number;
  #targetText: string | null = null;
  #authority: string | null = null;

  constructor(lines: HeadLines, framing: Framing, method: string, target: AbsoluteTarget | null) {
    this.lines = lines;
    this.method = method;
    this.#target = target;
    this.scheme = target === null ? 'http' : target.scheme;
    this.#hostLine = framing.hostLine;
    this.contentLength = framing.chunked ? -1 : Math.max(framing.contentLength, 0);
    this.minor = lines.minor;
    this.expectsContinue = framing.expect && lines.minor === 1 && this.contentLength !== 0;
    this.upgrade = upgradeOf(lines, framing, this.contentLength);
    this.grpc = framing.grpc;
    this.headBytes = lines.length;
    this.keepsAlive = !framing.close && (lines.minor === 1 || framing.keepAlive);
  }

  get headers(): Headers {
    return this.lines ?? noHeaders;
  }

  get target(): string {
    if (this.#targetText === null) {
      const { lines } = this;
      this.#targetText = this.#target?.path ?? lines?.text(lines.secondFrom, lines.secondTo) ?? '';
    }
    return this.#targetText;
  }

  get authority(): string {
    if (this.#authority === null) {
      const line = this.#hostLine;
      this.#authority = line < 0 ? (this.#target?.authority ?? '') : (this.lines?.valueText(line) ?? '');
    }
    return this.#authority;
  }

  /** The target was sent as it goes on; an absolute one is not. */
  get isOriginForm(): boolean {
    return this.#target === null;
  }

  /** Lets go of the lines; what is text already stays. */
  release(): void {
    const { lines } = this;
    if (lines === null) return;
    // Whoever logs the request wants these two.
    this.#targetText = this.target;
    this.#authority = this.authority;
    this.lines = null;
    giveLines(lines);
  }
}

/** The response head of HTTP/1.1, valid during `onHead`. */
export class H1ResponseHead implements ResponseHead {
  readonly protocol = 'http1';
  readonly status: number;
  readonly contentLength: number;
  readonly headBytes: number;
  lines: HeadLines | null;

  constructor(lines: HeadLines, contentLength: number) {
    this.lines = lines;
    this.status = lines.status;
    this.contentLength = contentLength;
    this.headBytes = lines.length;
  }

  get headers(): Headers {
    return this.lines ?? noHeaders;
  }
}

interface AbsoluteTarget {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
}

/** Returns the head of a request whose lines are whole, or why it cannot be taken. */
export function readRequestHead(lines: HeadLines, framing: Framing): H1RequestHead | Refusal {
  const method = methodOf(lines);
  if (method === 'CONNECT') return malformed('CONNECT is not for this port', 405);
  if (framing.expectsOther) return malformed('Expect other than 100-continue', 417);
  const { hosts, hostLine } = framing;
  if (hosts > 1) return malformed('several Host');
  if (hosts === 0 && lines.minor === 1) return malformed('no Host');
  if (hosts === 1) {
    const at = hostLine * slotSize;
    const isHost = isAuthority(lines, lines.slots[at + Slot.valueFrom]!, lines.slots[at + Slot.valueTo]!);
    if (!isHost) return malformed('bad Host');
  }
  const first = lines.memory[lines.base + lines.secondFrom]!;
  if (first === slash) return new H1RequestHead(lines, framing, method, null);
  if (first === 42 && lines.secondTo - lines.secondFrom === 1) {
    if (method !== 'OPTIONS') return malformed('target * of a method other than OPTIONS');
    return new H1RequestHead(lines, framing, method, null);
  }
  const target = absoluteTarget(lines, method);
  if (target === null) return malformed('request target is neither a path nor an http URI');
  if (hostLine >= 0 && !isSameAuthority(lines.valueText(hostLine), target)) {
    return malformed('Host and request target disagree');
  }
  return new H1RequestHead(lines, framing, method, target);
}

function methodOf(lines: HeadLines): string {
  const from = lines.base + lines.startAt;
  const size = lines.firstTo - lines.startAt;
  for (const method of methods) {
    if (method.length !== size || lines.memory[from] !== method.charCodeAt(0)) continue;
    let at = 1;
    while (at < size && lines.memory[from + at] === method.charCodeAt(at)) at++;
    if (at === size) return method;
  }
  return lines.text(lines.startAt, lines.firstTo);
}

/** `host[:port]` and not empty: brackets around IPv6 alone, digits alone after the colon. */
function isAuthority(lines: HeadLines, from: number, to: number): boolean {
  const { memory, base } = lines;
  if (from === to) return false;
  let colons = 0;
  for (let at = from; at < to; at++) {
    const code = memory[base + at]!;
    if (authorityBytes[code] === 0) return false;
    // Brackets and several colons are rare: they are looked at as text.
    if (code === colon) colons++;
    else if (code === 91 || code === 93) return /^\[[0-9A-Fa-f:.]+\](:[0-9]{0,5})?$/.test(lines.text(from, to));
  }
  return colons === 0 || (colons === 1 && /^[^:]+:[0-9]{0,5}$/.test(lines.text(from, to)));
}

/** `http://authority[/path][?query]` (RFC 9112 §3.2.2); null for anything else. */
function absoluteTarget(lines: HeadLines, method: string): AbsoluteTarget | null {
  const text = lines.text(lines.secondFrom, lines.secondTo);
  const match = /^(https?):\/\/([^/?]+)(.*)$/i.exec(text);
  if (match === null) return null;
  const [, scheme = '', authority = '', rest = ''] = match;
  const from = lines.secondFrom + scheme.length + 3;
  if (!isAuthority(lines, from, from + authority.length)) return null;
  const path = rest === '' ? (method === 'OPTIONS' ? '*' : '/') : rest.startsWith('?') ? `/${rest}` : rest;
  return { scheme: scheme.toLowerCase(), authority, path };
}

function isSameAuthority(host: string, target: AbsoluteTarget): boolean {
  const port = target.scheme === 'http' ? ':80' : ':443';
  const bare = (text: string): string => {
    const lower = text.toLowerCase();
    return lower.endsWith(port) ? lower.slice(0, -port.length) : lower.endsWith(':') ? lower.slice(0, -1) : lower;
  };
  return bare(host) === bare(target.authority);
}

/**
 * The protocol asked for. An offer of `h2c`, one in HTTP/1.0, and one before a body are passed over, as RFC 9110 §7.8
 * allows.
 */
function upgradeOf(lines: HeadLines, framing: Framing, contentLength: number): string | null {
  if (framing.upgradeLine < 0 || !framing.upgrades || lines.minor === 0 || contentLength !== 0) return null;
  if (lines.valueIs(framing.upgradeLine, 'websocket')) return 'websocket';
  const [first = ''] = lines.valueText(framing.upgradeLine).split(',');
  const protocol = first.trim().toLowerCase();
  return protocol === '' || protocol === 'h2c' ? null : protocol;
}

/** Length of an answer's body: 0 without one, -1 up to its end; or why the answer cannot be taken. */
export function answerLength(lines: HeadLines, framing: Framing, method: string): number {
  const { status } = lines;
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  return framing.chunked ? -1 : framing.contentLength;
}

/** True when the connection can be used after this answer, as far as its head says. */
export function answerKeepsAlive(lines: HeadLines, framing: Framing): boolean {
  return !framing.close && (lines.minor === 1 || framing.keepAlive);
}
