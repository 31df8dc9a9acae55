import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import { parseNodeConfig, readNodeConfig } from './node.ts';

const least = 'nodeName: n1\ncontrollerUrl: https://10.80.0.1:15012\npodCidrs: [10.244.1.0/24]\n';

test('the least that must be said; everything else has its default', () => {
  const config = parseNodeConfig(least, 'node.yaml');
  assert.equal(config.ports.hbone, 15008);
  assert.equal(config.capture.failOpen, false);
  assert.equal(config.timeouts.drainMs, 25_000);
  assert.deepEqual([config.podCidrs, config.meshCidrs], [['10.244.1.0/24'], []]);
  assert.ok(Object.isFrozen(config));
});

test('durations may be written with their unit', () => {
  assert.equal(parseNodeConfig(`${least}timeouts: {idle: 10m}\n`, 'node.yaml').timeouts.idleMs, 600_000);
});

const wrong: { text: string; place: string; says: RegExp }[] = [
  { text: 'podCidrs: [10.0.0.0/8]\n', place: 'node.yaml:1:1', says: /nodeName/ },
  { text: `${least}prots: {}\n`, place: 'node.yaml:4:1', says: /did you mean.*ports/i },
  { text: `${least}log: {level: loud}\n`, place: 'node.yaml:4:14', says: /must be one of trace, debug/ },
  { text: `${least}ports:\n  hbone: 70000\n`, place: 'node.yaml:5:10', says: /0 to 65535/ },
  { text: 'nodeName: n1\ncontrollerUrl: http://c\n', place: 'node.yaml:2:16', says: /https/ },
  {
    text: 'nodeName: n1\ncapture: {backend: none}\nstateDir: ""\n',
    place: 'node.yaml:1:1',
    says: /controllerUrl must be/,
  },
];

for (const { text, place, says } of wrong) {
  test(`refused at ${place}: ${says.source}`, () => {
    assert.throws(
      () => parseNodeConfig(text, 'node.yaml'),
      (error) => {
        assert.ok(error instanceof MeshError);
        assert.ok(error.message.startsWith(`${place}: `), error.message);
        assert.match(error.message, says);
        return true;
      },
    );
  });
}

test('a file that is not there', () => {
  assert.throws(
    () => readNodeConfig('/nowhere/node.yaml'),
    (error) => error instanceof MeshError && error.code === 'INPUT_UNREADABLE',
  );
});
