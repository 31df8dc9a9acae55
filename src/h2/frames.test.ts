import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { OutQueue } from '../io/out-queue.ts';
import { ErrorCode, Flag, FrameType, frameHeaderBytes } from './constants.ts';
import { FrameParser, type FrameSink } from './frame-parser.ts';
import {
  putHeader,
  writeData,
  writeEnd,
  writeGoaway,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeWindowUpdate,
} from './frame-writer.ts';
import { ProtocolError } from './protocol-error.ts';

/** Writes down what it is told, with DATA slices joined. */
class Log implements FrameSink {
  readonly lines: string[] = [];
  #data = '';
  onDataStart(id: number, flow: number, data: number): void {
    this.#data = '';
    this.lines.push(`data ${id} ${flow} ${data}`);
  }
  onDataSlice(_id: number, slice: Buffer): number {
    this.#data += slice.toString('hex');
    return 0;
  }
  onDataEnd(id: number, end: boolean): void {
    this.lines.push(`/data ${id} ${end} ${this.#data}`);
  }
  onHeaders(id: number, block: Buffer, end: boolean): void {
    this.lines.push(`headers ${id} ${end} ${block.toString('hex')}`);
  }
  onRstStream(id: number, code: number): void {
    this.lines.push(`rst ${id} ${code}`);
  }
  onSettings(ack: boolean, payload: Buffer): void {
    this.lines.push(`settings ${ack} ${payload.toString('hex')}`);
  }
  onPing(ack: boolean, opaque: Buffer): void {
    this.lines.push(`ping ${ack} ${opaque.toString('hex')}`);
  }
  onGoaway(last: number, code: number, debug: Buffer): void {
    this.lines.push(`goaway ${last} ${code} ${debug}`);
  }
  onWindowUpdate(id: number, increment: number): void {
    this.lines.push(`window ${id} ${increment}`);
  }
  onIgnored(type: number): void {
    this.lines.push(`ignored ${type}`);
  }
}

const limits = { maxFrameBytes: 16_384, headerBlockBytes: 32_768, continuations: 4 };

function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const bytes = Buffer.alloc(frameHeaderBytes + body.length);
  putHeader(bytes, 0, body.length, type, flags, id);
  body.copy(bytes, frameHeaderBytes);
  return bytes;
}

function parse(bytes: Buffer, cuts: readonly number[] = []): string[] {
  const log = new Log();
  const parser = new FrameParser(log, limits);
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.max(at, cut % (bytes.length + 1));
    if (to > at) parser.parse(bytes.subarray(at, to));
    at = to;
  }
  parser.parse(bytes.subarray(at));
  return log.lines;
}

function bytesOf(out: OutQueue): Buffer {
  const parts: Buffer[] = [];
  for (let next = out.next(); next !== null; next = out.next()) {
    parts.push(Buffer.from(next));
    out.settle();
  }
  return Buffer.concat(parts);
}

describe('frames', () => {
  it('come back as written, however the bytes are cut', () => {
    const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });
    const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
    type Case = { write: (out: OutQueue) => void; lines: string[] };
    const kinds = fc.oneof(
      fc.tuple(id, u32).map(([i, c]): Case => ({ write: (o) => writeRstStream(o, i, c), lines: [`rst ${i} ${c}`] })),
      fc.tuple(fc.boolean(), u32).map(([ack, n]): Case => {
        const opaque = Buffer.alloc(8, String(n));
        return { write: (o) => writePing(o, opaque, ack), lines: [`ping ${ack} ${opaque.toString('hex')}`] };
      }),
      id.map((i): Case => ({ write: (o) => writeWindowUpdate(o, i, i), lines: [`window ${i} ${i}`] })),
      fc.tuple(id, u32).map(([i, c]): Case => ({ write: (o) => writeGoaway(o, i, c), lines: [`goaway ${i} ${c} `] })),
      bytes(5).map((b): Case => {
        const payload = Buffer.concat(Array.from({ length: 6 }, () => b));
        return { write: (o) => writeSettings(o, payload), lines: [`settings false ${payload.toString('hex')}`] };
      }),
      id.map((i): Case => ({ write: (o) => writeEnd(o, i), lines: [`data ${i} 0 0`, `/data ${i} true `] })),
      fc.tuple(id, bytes(3000), fc.boolean()).map(
        ([i, block, end]): Case => ({
          write: (o) => writeHeaders(o, i, block, end, 1000),
          lines: [`headers ${i} ${end} ${block.toString('hex')}`],
        }),
      ),
      fc.tuple(id, bytes(3000)).map(
        ([i, data]): Case => ({
          write: (o) => assert.equal(writeData(o, i, data, 0, data.length, 16_384), data.length),
          lines: [`data ${i} ${data.length} ${data.length}`, `/data ${i} false ${data.toString('hex')}`],
        }),
      ),
    );
    fc.assert(
      fc.property(fc.array(kinds, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 20 }), (cases, cuts) => {
        const out = new OutQueue();
        for (const { write } of cases) write(out);
        assert.deepEqual(
          parse(bytesOf(out), cuts),
          cases.flatMap(({ lines }) => lines),
        );
      }),
    );
  });

  it('split DATA at the end of a slab and lose nothing', () => {
    const out = new OutQueue();
    const data = Buffer.alloc(200_000);
    for (let i = 0; i < data.length; i++) data[i] = i * 31;
    let at = 0;
    while (at < data.length) at += writeData(out, 1, data, at, data.length, 16_384);
    const lines = parse(bytesOf(out), [1, 10, 70_000]).filter((line) => line.startsWith('/data'));
    assert.equal(lines.map((line) => line.split(' ')[3]).join(''), data.toString('hex'));
  });

  it('take padding, priority and unknown types as RFC 9113 says', () => {
    assert.deepEqual(parse(frame(FrameType.Data, Flag.Padded | Flag.EndStream, 1, '03aabb000000'), [3, 10, 12]), [
      'data 1 6 2',
      '/data 1 true aabb',
    ]);
    assert.deepEqual(parse(frame(FrameType.Data, Flag.Padded, 1, '00')), ['data 1 1 0', '/data 1 false ']);
    assert.deepEqual(
      parse(frame(FrameType.Headers, Flag.Padded | Flag.Priority | Flag.EndHeaders, 1, '020000000010880000')),
      ['headers 1 false 88'],
    );
    assert.deepEqual(parse(frame(FrameType.Priority, 0, 3, '0000000010')), ['ignored 2']);
    assert.deepEqual(parse(Buffer.concat([frame(0xfa, 0xff, 7, 'abcd'), frame(0x10, 0, 0)])), [
      'ignored 250',
      'ignored 16',
    ]);
    assert.deepEqual(parse(frame(FrameType.Goaway, 0, 0, '80000005 00000002 6869'.replaceAll(' ', ''))), [
      'goaway 5 2 hi',
    ]);
  });

  const headers = frame(FrameType.Headers, 0, 1, '88');
  const bad: [string, Buffer, number][] = [
    ['a frame above the limit', frame(FrameType.Data, 0, 1, Buffer.alloc(16_385)), ErrorCode.FrameSizeError],
    ['DATA on stream 0', frame(FrameType.Data, 0, 0, '00'), ErrorCode.ProtocolError],
    ['DATA with too much padding', frame(FrameType.Data, Flag.Padded, 1, '0200'), ErrorCode.ProtocolError],
    ['padded DATA without a length', frame(FrameType.Data, Flag.Padded, 1), ErrorCode.FrameSizeError],
    ['HEADERS on stream 0', frame(FrameType.Headers, Flag.EndHeaders, 0, '88'), ErrorCode.ProtocolError],
    [
      'HEADERS with too much padding',
      frame(FrameType.Headers, Flag.Padded | Flag.EndHeaders, 1, '0288'),
      ErrorCode.ProtocolError,
    ],
    [
      'HEADERS too short for its priority',
      frame(FrameType.Headers, Flag.Priority | Flag.EndHeaders, 1, '88'),
      ErrorCode.ProtocolError,
    ],
    [
      'a frame inside a header block',
      Buffer.concat([headers, frame(FrameType.Ping, 0, 0, '0000000000000000')]),
      ErrorCode.ProtocolError,
    ],
    [
      'CONTINUATION of another stream',
      Buffer.concat([headers, frame(FrameType.Continuation, 4, 3, '88')]),
      ErrorCode.ProtocolError,
    ],
    ['CONTINUATION without HEADERS', frame(FrameType.Continuation, 4, 1, '88'), ErrorCode.ProtocolError],
    [
      'a flood of CONTINUATIONs',
      Buffer.concat([headers, ...Array.from({ length: 5 }, () => frame(FrameType.Continuation, 0, 1))]),
      ErrorCode.EnhanceYourCalm,
    ],
    [
      'a header block too long',
      Buffer.concat([
        headers,
        frame(FrameType.Continuation, 0, 1, Buffer.alloc(16_384)),
        frame(FrameType.Continuation, 0, 1, Buffer.alloc(16_384)),
      ]),
      ErrorCode.EnhanceYourCalm,
    ],
    ['RST_STREAM of 5 bytes', frame(FrameType.RstStream, 0, 1, '0000000000'), ErrorCode.FrameSizeError],
    ['RST_STREAM on stream 0', frame(FrameType.RstStream, 0, 0, '00000000'), ErrorCode.ProtocolError],
    ['SETTINGS on a stream', frame(FrameType.Settings, 0, 1), ErrorCode.ProtocolError],
    ['SETTINGS of 5 bytes', frame(FrameType.Settings, 0, 0, '0000000000'), ErrorCode.FrameSizeError],
    ['SETTINGS ACK with content', frame(FrameType.Settings, 1, 0, '000000000000'), ErrorCode.FrameSizeError],
    ['PING of 7 bytes', frame(FrameType.Ping, 0, 0, '00000000000000'), ErrorCode.FrameSizeError],
    ['PING on a stream', frame(FrameType.Ping, 0, 1, '0000000000000000'), ErrorCode.ProtocolError],
    ['GOAWAY of 7 bytes', frame(FrameType.Goaway, 0, 0, '00000000000000'), ErrorCode.FrameSizeError],
    ['GOAWAY on a stream', frame(FrameType.Goaway, 0, 1, '0000000000000000'), ErrorCode.ProtocolError],
    ['WINDOW_UPDATE of 3 bytes', frame(FrameType.WindowUpdate, 0, 1, '000000'), ErrorCode.FrameSizeError],
    ['PRIORITY of 4 bytes', frame(FrameType.Priority, 0, 1, '00000000'), ErrorCode.FrameSizeError],
    ['PUSH_PROMISE', frame(FrameType.PushPromise, 4, 1, '0000000288'), ErrorCode.ProtocolError],
  ];
  for (const [what, bytes, code] of bad) {
    it(`refuse ${what}`, () => {
      assert.throws(
        () => parse(bytes),
        (error) => error instanceof ProtocolError && error.h2Code === code,
      );
      const each = Array.from({ length: bytes.length }, (_unused, index) => index);
      assert.throws(
        () => parse(bytes, each),
        (error) => error instanceof ProtocolError && error.h2Code === code,
      );
    });
  }

  it('of any bytes are frames or a protocol error', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 0, max: 11 }),
            fc.integer({ min: 0, max: 255 }),
            fc.nat(3),
            fc.uint8Array({ maxLength: 30 }),
          ),
        ),
        (frames) => {
          const bytes = Buffer.concat(
            frames.map(([type, flags, id, payload]) => frame(type, flags, id, Buffer.from(payload))),
          );
          try {
            parse(bytes, [5, 50]);
          } catch (error) {
            assert.ok(error instanceof ProtocolError);
          }
        },
      ),
    );
  });
});
