import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FileWatch } from './file-watch.ts';

const file = '/x/a.test.ts';
const opened = { type: 'test:dequeue', data: { name: file, file } };
const closed = { type: 'test:complete', data: { name: file, file } };
const began = { type: 'test:dequeue', data: { name: 't', file, entryFile: file } };
const ended = { type: 'test:complete', data: { name: 't', file, entryFile: file } };

const rows: [title: string, events: [typeof opened, number][], nowMs: number, stuck: string[]][] = [
  [
    'a file whose tests are done and that stays',
    [
      [opened, 0],
      [began, 1],
      [ended, 2],
    ],
    103,
    [file],
  ],
  [
    'not before its grace is over',
    [
      [opened, 0],
      [began, 1],
      [ended, 2],
    ],
    102,
    [],
  ],
  ['a file that never began a test', [[opened, 0]], 101, [file]],
  [
    'not while a test runs',
    [
      [opened, 0],
      [began, 1],
    ],
    1000,
    [],
  ],
  [
    'not while a suite runs in which a test has ended',
    [
      [opened, 0],
      [began, 1],
      [began, 2],
      [ended, 3],
    ],
    1000,
    [],
  ],
  [
    'not a file that has ended',
    [
      [opened, 0],
      [began, 1],
      [ended, 2],
      [closed, 3],
    ],
    1000,
    [],
  ],
];
for (const [title, events, nowMs, expected] of rows) {
  it(`stuck: ${title}`, () => {
    const watch = new FileWatch(100);
    for (const [event, atMs] of events) watch.note(event, atMs);
    assert.deepEqual(watch.stuck(nowMs), expected);
  });
}

it('events of a helper count for the file that was started', () => {
  const watch = new FileWatch(100);
  watch.note(opened, 0);
  watch.note({ type: 'test:dequeue', data: { name: 't', file: '/x/helper.ts', entryFile: file } }, 1);
  assert.deepEqual(watch.stuck(1000), []);
});
