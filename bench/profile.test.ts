import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupOf, groupSamples, renderProfiles } from './profile.ts';

describe('groupOf', () => {
  const rows: [file: string, symbol: string, group: string][] = [
    ['[kernel.kallsyms]', 'tcp_sendmsg', 'kernel'],
    ['[vdso]', '__vdso_clock_gettime', 'kernel'],
    ['node', 'aesni_gcm_encrypt', 'TLS (OpenSSL)'],
    ['node', 'ecp_nistz256_point_add', 'TLS (OpenSSL)'],
    ['node', 'node::crypto::TLSWrap::EncOut', 'TLS (Node)'],
    ['node', 'v8::internal::Scavenger::Process', 'V8: garbage collection'],
    ['node', 'v8::internal::compiler::Pipeline', 'V8: compiling'],
    ['node', 'Builtins_MapPrototypeGet', 'V8: built-ins and runtime'],
    ['node', 'uv__read', 'Node and libuv'],
    ['libc.so.6', '_int_malloc', 'C library'],
    ['perf-12.map', 'JS:*onData file:///x/src/h2/session.ts:1:2', 'JS: src/h2'],
    ['perf-12.map', 'JS:*emit node:events:1:2', 'JS: node:'],
    ['libsomething.so', 'what', 'other'],
  ];
  for (const [file, symbol, group] of rows) it(`${file} ${symbol}`, () => assert.equal(groupOf(file, symbol), group));
});

it('a report becomes parts of all samples', () => {
  const report = '# comment\n\n  30\tnode\t[.] uv__read\n  70\t[kernel.kallsyms]\t[k] tcp_ack\n';
  const profile = groupSamples(report);
  assert.deepEqual(
    [...profile],
    [
      ['Node and libuv', 30],
      ['kernel', 70],
    ],
  );
  assert.match(renderProfiles(new Map([['requests', profile]])), /\| kernel +\| +70\.0 \|/);
});
