import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from './byte-queue.ts';
import { DeadlineEntry, Deadlines } from './deadlines.ts';
import { OutQueue } from './out-queue.ts';
import { slabBytes } from './slabs.ts';
import { urisOf } from './tls-peer.ts';

describe('byte queue', () => {
  it('gives back what it was given, in any pieces', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 20_000 }) }),
      fc.record({ skip: fc.integer({ min: 0, max: 20_000 }) }),
      fc.constant({ shift: true }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new ByteQueue();
        let model = Buffer.alloc(0);
        let next = 0;
        const kept: { readonly view: Buffer; readonly bytes: Buffer }[] = [];
        for (const one of steps) {
          if ('push' in one) {
            const chunk = Buffer.alloc(one.push);
            for (let i = 0; i < chunk.length; i++) chunk[i] = next++ * 7;
            queue.push(chunk);
            model = Buffer.concat([model, chunk]);
            chunk.fill(0);
          } else if ('skip' in one) {
            const head = queue.peek();
            const count = Math.min(one.skip, head?.length ?? 0);
            if (head !== null) assert.ok(head.equals(model.subarray(0, head.length)));
            queue.skip(count);
            model = model.subarray(count);
          } else {
            const head = queue.shift();
            assert.equal(head === null, model.length === 0);
            if (head !== null) assert.ok(head.equals(model.subarray(0, head.length)));
            if (head !== null) kept.push({ view: head, bytes: Buffer.from(head) });
            model = model.subarray(head?.length ?? 0);
          }
          assert.equal(queue.bytes, model.length);
        }
        // What was shifted out is not given to anybody else.
        for (const { view, bytes } of kept) assert.ok(view.equals(bytes));
      }),
    );
  });
});

describe('out queue', () => {
  it('keeps order and count over slabs, with writes in flight', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 150_000 }), { maxLength: 8 }), (sizes) => {
        const queue = new OutQueue();
        const sent: Buffer[] = [];
        const all: Buffer[] = [];
        let n = 0;
        for (const size of sizes) {
          const chunk = Buffer.alloc(size, ++n);
          all.push(chunk);
          queue.append(chunk);
          const next = queue.next();
          assert.equal(queue.next(), null, 'one in flight');
          if (next !== null) sent.push(Buffer.from(next));
          assert.ok(next === null || next.length <= slabBytes);
          queue.settle(n % 2 === 0);
        }
        for (let next = queue.next(); next !== null; next = queue.next()) {
          sent.push(Buffer.from(next));
          queue.settle();
        }
        assert.ok(Buffer.concat(sent).equals(Buffer.concat(all)));
        assert.equal(queue.bytes, 0);
      }),
      { numRuns: 30 },
    );
  });

  it('forgets what is dropped', () => {
    const queue = new OutQueue();
    queue.append(Buffer.alloc(100_000));
    queue.next();
    queue.clear();
    assert.deepEqual([queue.bytes, queue.writing, queue.next()], [0, false, null]);
    queue.append(Buffer.from('x'));
    assert.equal(String(queue.next()), 'x');
  });
});

describe('deadlines', () => {
  class Entry extends DeadlineEntry {
    readonly #log: string[];
    readonly #name: string;
    constructor(name: string, log: string[]) {
      super();
      this.#name = name;
      this.#log = log;
    }
    onDeadline(): void {
      this.#log.push(this.#name);
    }
  }

  it('come in order, late by a tenth at most, and can be moved and lifted', (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    let nowMs = 0;
    const advance = (ms: number): void => {
      for (let i = 0; i < ms; i++) {
        nowMs++;
        context.mock.timers.tick(1);
      }
    };
    const log: string[] = [];
    const list = new Deadlines(100, () => nowMs);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new Entry(name, log)) as [Entry, Entry, Entry];
    list.set(a);
    list.set(b);
    advance(50);
    list.set(c);
    list.set(a);
    list.lift(b);
    list.lift(b);
    advance(99);
    assert.deepEqual(log, []);
    advance(11);
    assert.deepEqual([...log].sort(), ['a', 'c']);
    assert.equal(list.size, 0);
    list.set(b);
    list.close();
    advance(300);
    assert.deepEqual(log.length, 2);
  });

  it('hold an entry in one list at a time: setting it in another once made the first spin', () => {
    const nowMs = (): number => 0;
    const [first, second] = [new Deadlines(100, nowMs), new Deadlines(200, nowMs)];
    const [a, b] = ['a', 'b'].map((name) => new Entry(name, [])) as [Entry, Entry];
    first.set(a);
    first.set(b);
    second.set(a);
    assert.deepEqual([first.size, second.size], [1, 1]);
    first.close();
    second.close();
    assert.deepEqual([a.deadlineList, b.deadlineList], [null, null]);
  });
});

describe('peer names', () => {
  const rows: [string, string[]][] = [
    ['', []],
    ['URI:spiffe://a/ns/b/sa/c', ['spiffe://a/ns/b/sa/c']],
    ['DNS:x, URI:spiffe://a/ns/b/sa/c, IP Address:10.0.0.1, URI:urn:x', ['spiffe://a/ns/b/sa/c', 'urn:x']],
    // A name that holds a comma is quoted: what is inside must not be taken for another entry.
    ['DNS:"x, URI:spiffe://evil/ns/a/sa/b", URI:spiffe://a/ns/b/sa/c', ['spiffe://a/ns/b/sa/c']],
    ['URI:"spiffe://a/ns/b/sa/c, URI:x"', []],
  ];
  for (const [text, expected] of rows) it(`of ${text || 'nothing'}`, () => assert.deepEqual(urisOf(text), expected));
});
