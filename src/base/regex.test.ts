// The fast ways to match against RE2's own automaton.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileRegex, linearRegex, regexLengthMax, regexProblem, regexReplacer } from './regex.ts';

const rows = [
  ['/status/.*', ['/status/200', '/status/'], ['/status', 'x/status/1']],
  ['.*\\.example\\.com', ['a.example.com', '.example.com'], ['aXexample.com', 'example.com']],
  ['.+', ['a'], ['']],
  ['.*', ['', 'a'], []],
  ['.*canary.*', ['x canary y', 'canary'], ['canar']],
  ['.+canary.+', ['1canary2'], ['canary2', '1canary', 'canary']],
  ['(GET|HEAD)', ['GET', 'HEAD'], ['GETHEAD', 'POST']],
  ['GET|HEAD', ['GET', 'HEAD'], ['GETX']],
  ['^a|b$', ['a', 'b'], ['ab']],
  ['/v[0-9]+/items/[^/]+', ['/v1/items/a', '/v22/items/é'], ['/v/items/a', '/v1/items/', '/v1/items/a/b']],
  ['(?i)abc', ['ABC'], ['abd']],
  ['^(.*?;)?(user=jason)(;.*)?$', ['user=jason', 'a=b;user=jason;c=d'], ['user=jasons', 'xuser=jason']],
  ['a{2,3}', ['aa', 'aaa'], ['a', 'aaaa']],
] as const;
for (const [pattern, good, bad] of rows) {
  test(`regex ${pattern}`, () => {
    assert.equal(regexProblem(pattern), null);
    for (const text of good) assert.equal(compileRegex(pattern).matches(text), true, text);
    for (const text of bad) assert.equal(compileRegex(pattern).matches(text), false, text);
  });
}

test('what is no RE2 syntax, or too large, is said', () => {
  assert.match(regexProblem('(a') ?? '', /no regular expression.*missing closing/);
  assert.match(regexProblem('(?=a)b') ?? '', /no regular expression/);
  assert.match(regexProblem('(a)\\1') ?? '', /no regular expression/);
  assert.match(regexProblem('a'.repeat(regexLengthMax + 1)) ?? '', /longer than/);
  assert.match(regexProblem('((a{100}){10}){10}') ?? '', /steps for each|no regular expression/);
});

test('a pattern that would make a backtracking matcher hang takes no time', () => {
  const regex = compileRegex('(a*)*(a|aa)+(a|aa)+c');
  assert.equal(regex.matches('a'.repeat(50_000)), false);
});

const atom = fc.constantFrom('a', 'b', '/', '\\.', '.', '[ab]', '[^/]', '[0-9]', '\\d', '\\w', 'é');
const piece = fc.tuple(atom, fc.constantFrom('', '', '*', '+', '?')).map((parts) => parts.join(''));
const sequence = fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(''));
const pattern = fc.oneof(
  sequence,
  fc.array(sequence, { minLength: 2, maxLength: 3 }).map((parts) => parts.join('|')),
  fc.array(sequence, { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join('|')})`),
  sequence.map((one) => `^${one}$`),
  sequence.map((one) => `.*${one}.+`),
);
const text = fc.array(fc.constantFrom('a', 'b', '/', '.', '0', '9', '_', 'é', '\\', '$'), { maxLength: 8 });

test('every fast way agrees with the automaton', () => {
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 8, maxLength: 8 }), (one, texts) => {
      const fast = compileRegex(one);
      const slow = linearRegex(one);
      for (const parts of texts) assert.equal(fast.matches(parts.join('')), slow.matches(parts.join('')), one);
    }),
    { numRuns: 2000 },
  );
});

test('a replacement names groups as RE2 does', () => {
  const replace = regexReplacer('^/service/([^/]+)(/.*)$', '\\2/instance/\\1');
  assert.equal(replace('/service/foo/v1/api'), '/v1/api/instance/foo');
  assert.equal(replace('/other'), '/other');
  assert.equal(regexReplacer('one', 'two')('/xxx/one/yyy/one/zzz'), '/xxx/two/yyy/two/zzz');
  assert.equal(regexReplacer('a', '$1')('a'), '$1');
});
