import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import {
  boolean,
  cidr,
  described,
  durationMs,
  integer,
  ip,
  list,
  mapping,
  object,
  oneOf,
  port,
  readConfig,
  someOf,
  string,
} from './schema.ts';

const shape = {
  nodeName: string(),
  threads: integer({ min: 0, max: 64 }, 0),
  podCidrs: list(cidr(), []),
  address: ip('::1'),
  certificateTtlMs: durationMs(86_400_000),
  capture: object({ backend: oneOf(['host', 'none'], 'host'), failOpen: boolean(false) }),
  ports: object({ outbound: port(15001) }),
};

function read(text: string) {
  return readConfig(text, 'node.yaml', shape);
}

test('defaults stand in for what is left out, and the result is frozen', () => {
  const config = read('nodeName: a');
  assert.deepEqual(config, {
    nodeName: 'a',
    threads: 0,
    podCidrs: [],
    address: '::1',
    certificateTtlMs: 86_400_000,
    capture: { backend: 'host', failOpen: false },
    ports: { outbound: 15001 },
  });
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.capture));
});

test('every type is read and made canonical', () => {
  const text = `
nodeName: a
threads: 2
podCidrs: [10.1.2.3/16, 'FD00::/64']
address: ::ffff:1.2.3.4
certificateTtl: 1h30m
capture: {backend: none, failOpen: true}
ports:
`;
  assert.deepEqual(read(text), {
    nodeName: 'a',
    threads: 2,
    podCidrs: ['10.1.0.0/16', 'fd00::/64'],
    address: '1.2.3.4',
    certificateTtlMs: 5_400_000,
    capture: { backend: 'none', failOpen: true },
    ports: { outbound: 15001 },
  });
  assert.equal(read('{"nodeName":"a","certificateTtlMs":250}').certificateTtlMs, 250);
});

const errorRows = [
  ['threads: 1', 'node.yaml:1:1: must name the field nodeName'],
  ['nodeName: a\ntreads: 1', 'node.yaml:2:1: treads is no known field; did you mean threads?'],
  [
    'nodeName: a\ncapture:\n  failOpne: true',
    'node.yaml:3:3: capture.failOpne is no known field; did you mean failOpen?',
  ],
  ['nodeName: [a]', 'node.yaml:1:11: nodeName must be a string, not a list'],
  ['nodeName:', 'node.yaml:1:10: nodeName must have a value'],
  ['nodeName: a\nthreads: 65', 'node.yaml:2:10: threads must be a whole number from 0 to 64, not 65'],
  [
    'nodeName: a\nports: {outbound: 70000}',
    'node.yaml:2:19: ports.outbound must be a whole number from 0 to 65535, not 70000',
  ],
  [
    'nodeName: a\npodCidrs:\n- 10.0.0.0/8\n- ten',
    'node.yaml:4:3: podCidrs.1 must be a network such as 10.0.0.0/8 or fd00::/8, not "ten"',
  ],
  [
    'nodeName: a\ncertificateTtl: soon',
    'node.yaml:2:17: certificateTtl must be a duration such as 500ms, 5s, 10m or 24h, not "soon"',
  ],
  [
    'nodeName: a\ncertificateTtl: 1s\ncertificateTtlMs: 5',
    'node.yaml:3:1: certificateTtlMs is given twice, as certificateTtl too',
  ],
  [
    'nodeName: a\ncapture: {backend: hots}',
    'node.yaml:2:20: capture.backend must be one of host, none, not "hots"; did you mean host?',
  ],
  ['nodeName: a\ncapture: {failOpen: yes}', 'node.yaml:2:21: capture.failOpen must be true or false, not "yes"'],
  ['- a', 'node.yaml:1:1: must be a mapping, not a list'],
  ['nodeName: a\n---\nnodeName: b', 'node.yaml:3:1: a configuration file holds one document'],
  ['{"nodeName": "a",\n "threads": "x"}', 'node.yaml:2:13: threads must be a whole number from 0 to 64, not "x"'],
] as const;
for (const [text, message] of errorRows) {
  test(`${JSON.stringify(text)} is refused with its place`, () => {
    assert.throws(
      () => read(text),
      (error: unknown) => {
        assert.ok(isMeshError(error));
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.equal(error.message, message);
        return true;
      },
    );
  });
}

test('fields describe themselves as JSON Schema', () => {
  const { schema } = object({ ...shape, tag: described('of an image', string('', { pattern: /^\S*$/, what: 'x' })) });
  const { tag, threads, certificateTtlMs, certificateTtl, capture } = schema['properties'] as Record<string, unknown>;
  assert.deepEqual(tag, { description: 'of an image', type: 'string', pattern: '^\\S*$' });
  assert.deepEqual(threads, { type: 'integer', minimum: 0, maximum: 64 });
  assert.deepEqual(certificateTtl, certificateTtlMs);
  const properties = { backend: { enum: ['host', 'none'] }, failOpen: { type: 'boolean' } };
  assert.deepEqual(capture, { type: 'object', additionalProperties: false, properties });
});

test('some of the fields of a shape are judged, and passed on as they were written', () => {
  const some = { config: someOf(shape, ['ports'], 'is chosen elsewhere'), labels: mapping(string()) };
  const { config, labels } = readConfig('config: {certificateTtl: 5s, address: ~}\nlabels: {a: b}', 'v.yaml', some);
  assert.deepEqual(config, { certificateTtl: '5s' });
  assert.deepEqual(labels, { a: 'b' });
  for (const [text, says] of [
    ['config: {ports: {}}', /v\.yaml:1:10: config\.ports is chosen elsewhere/],
    ['config:\n  threads: many', /v\.yaml:2:12: config\.threads must be a whole number/],
    ['config: {thread: 1}', /config\.thread is no known field; did you mean threads\?/],
    ['labels: {a: 1}', /v\.yaml:1:13: labels\.a must be a string/],
    ['labels: a', /labels must be a mapping/],
  ] as const) {
    assert.throws(() => readConfig(text, 'v.yaml', some), says);
  }
});
