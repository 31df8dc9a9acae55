import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FileWatch } from './file-watch.ts';
import type { TestEvent } from './test-phases.ts';

const file = '/x/a.test.ts';
const limits = { betweenMs: 100, afterMs: 10 };

/** `+` begins the file, `-` ends it; `?1`, `>1`, `<1`: test 1 is known, begins, ends. */
function event(text: string): TestEvent {
  const type = {
    '+': 'test:dequeue',
    '-': 'test:complete',
    '?': 'test:enqueue',
    '>': 'test:dequeue',
    '<': 'test:complete',
  };
  const mark = text[0] as keyof typeof type;
  const isFile = mark === '+' || mark === '-';
  const about = isFile ? { name: file } : { name: `test ${text[1]}`, entryFile: file, testId: Number(text[1]) };
  return { type: type[mark], data: { file, ...about } };
}

const rows: [title: string, events: string, nowMs: number, stuck: string[]][] = [
  ['a file whose tests are done and that stays', '+ ?1 >1 <1', 11, [file]],
  ['not before its time after the last test is over', '+ ?1 >1 <1', 10, []],
  ['a file that never began a test', '+', 101, [file]],
  ['a hook between two tests may take longer', '+ ?1 ?2 >1 <1', 100, []],
  ['but not for ever', '+ ?1 ?2 >1 <1', 101, [file]],
  ['not while a test runs', '+ ?1 >1', 1000, []],
  ['not while a suite runs in which a test has ended', '+ ?1 ?2 >1 >2 <2', 1000, []],
  ['a test that was cancelled before it began counts for nothing', '+ ?1 ?2 ?3 >1 >2 <3', 1000, []],
  ['not a file that has ended', '+ ?1 >1 <1 -', 1000, []],
];
for (const [title, events, nowMs, expected] of rows) {
  it(`stuck: ${title}`, () => {
    const watch = new FileWatch(limits);
    for (const text of events.split(' ')) watch.note(event(text), 0);
    assert.deepEqual(watch.stuck(nowMs), expected);
  });
}

it('events of a helper count for the file that was started', () => {
  const watch = new FileWatch(limits);
  watch.note(event('+'), 0);
  const data = { name: 't', file: '/x/helper.ts', entryFile: file, testId: 1 };
  watch.note({ type: 'test:dequeue', data }, 1);
  assert.deepEqual(watch.stuck(1000), []);
});
