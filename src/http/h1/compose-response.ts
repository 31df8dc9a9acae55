// Answers as they go out: an endpoint's with its lines as they came, our own, and the informational ones.
import { nodeHttp } from '../../base/node-http.ts';
import type { HeadChanges, Headers, ResponseHead } from '../message.ts';
import type { ByteWriter } from './byte-writer.ts';
import { writeAdded, writeForeign, writeLength, writeLines } from './compose.ts';
import { Framed } from './connection.ts';
import { H1ResponseHead } from './heads.ts';

const { STATUS_CODES: reasons } = nodeHttp;

/** What the server says about the connection and the body. */
export interface AnswerFrame {
  /** A `Framed`. */
  readonly framed: number;
  /** Bytes of the body, to be said where the head that came does not say it; -1 to say nothing. */
  readonly length: number;
  readonly close: boolean;
  /** The client speaks HTTP/1.0: it has to be told that the connection stays. */
  readonly keepAlive: boolean;
  /** `Content-Length` that came is left out. */
  readonly noLength: boolean;
}

/** Writes an endpoint's head with `changes`; a 101 keeps its `Upgrade`. */
export function composeResponse(
  out: ByteWriter,
  head: ResponseHead,
  changes: HeadChanges | null,
  frame: AnswerFrame,
): void {
  const lines = head instanceof H1ResponseHead ? head.lines : null;
  const { status } = head;
  if (lines === null) writeStatus(out, status);
  else {
    out.text('HTTP/1.1 ');
    out.decimal(status);
    out.text(' ');
    out.copy(lines.memory, lines.base + lines.secondFrom, lines.base + lines.secondTo);
    out.text('\r\n');
  }
  const isUpgrade = status === 101;
  const rules = { upgrade: isUpgrade, noLength: frame.noLength, authority: null };
  const written =
    lines === null ? writeForeign(out, head.headers, changes, rules) : writeLines(out, lines, changes, rules);
  if (!written.hasLength && frame.length >= 0 && !frame.noLength) writeLength(out, frame.length);
  if (frame.framed === Framed.chunked) out.text('transfer-encoding: chunked\r\n');
  writeConnection(out, isUpgrade ? 'upgrade' : frame.close ? 'close' : frame.keepAlive ? 'keep-alive' : null);
  writeAdded(out, changes);
  out.text('\r\n');
}

/** Writes an answer of our own, with its body unless the request was a HEAD. */
export function composeAnswer(
  out: ByteWriter,
  status: number,
  headers: readonly (readonly [name: string, value: string])[],
  body: Buffer,
  close: boolean,
  keepAlive: boolean,
  isHead: boolean,
): void {
  writeStatus(out, status);
  writeAdded(out, { remove: [], set: headers, add: [] });
  const hasBody = status !== 204 && status !== 304;
  if (hasBody) {
    if (body.length > 0 && !headers.some(([name]) => name.toLowerCase() === 'content-type')) {
      out.text('content-type: text/plain\r\n');
    }
    writeLength(out, body.length);
  }
  writeConnection(out, close ? 'close' : keepAlive ? 'keep-alive' : null);
  out.text('\r\n');
  if (hasBody && !isHead) out.copy(body, 0, body.length);
}

/** Writes a 1xx other than 101. */
export function composeInform(out: ByteWriter, status: number, headers: Headers | null): void {
  writeStatus(out, status);
  if (headers !== null) {
    writeForeign(out, headers, null, { upgrade: false, noLength: true, authority: null });
  }
  out.text('\r\n');
}

function writeStatus(out: ByteWriter, status: number): void {
  out.text('HTTP/1.1 ');
  out.decimal(status);
  out.text(' ');
  out.text(reasons[status] ?? 'Unknown');
  out.text('\r\n');
}

function writeConnection(out: ByteWriter, option: string | null): void {
  if (option === null) return;
  out.text('connection: ');
  out.text(option);
  out.text('\r\n');
}
