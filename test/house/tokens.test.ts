import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findFunctions } from './functions.ts';
import { codeOf, tokenize } from './tokens.ts';

const code = (source: string): string =>
  codeOf(tokenize(source))
    .map((token) => (token.kind === 'word' || token.kind === 'punctuation' ? token.text : token.kind))
    .join(' ');

describe('tokenize', () => {
  const rows: [title: string, source: string, expected: string][] = [
    ['comments are no code', 'a // enum b\n/* throw\n new */ c', 'a c'],
    ['strings are one token', `a('it\\'s // no comment', "x\\"y")`, 'a ( string , string )'],
    ['an unclosed string ends with its line', "a = 'open\nb", 'a = string b'],
    [
      'templates are split at their expressions',
      '`x${a + `y${b}z`}w` + c',
      'template a + template b template template + c',
    ],
    ['braces inside a template expression', '`${{ a: { b } }.a}` ; d', 'template { a : { b } } . a template ; d'],
    ['a brace in a template text', '`{ ${a} }` b', 'template a template b'],
    ['an escaped backtick and dollar', '`\\` \\${a}` b', 'template b'],
    ['a regular expression with quotes', 'x = /["\'`/]\\/[/]/gu.test(y)', 'x = regex . test ( y )'],
    ['a regular expression after return', 'return /"/', 'return regex'],
    ['division', 'a / b / c; (d) / e', 'a / b / c ; ( d ) / e'],
    ['a division inside a template', '`${a / b}` / 2', 'template a / b template / number'],
    ['private names and arrows', 'this.#x = (y?.z) => ...w', 'this . #x = ( y ?. z ) => ... w'],
    ['numbers', '1_000.5e3 0xff 10n .5', 'number number number number'],
    ['a hash bang', '#!/usr/bin/env node\na', 'a'],
  ];
  for (const [title, source, expected] of rows) it(title, () => assert.equal(code(source), expected));

  it('counts lines through every kind of token', () => {
    const last = tokenize('/*\n*/ `\n${\n1}\n`\n"a" // b\nend').at(-1);
    assert.deepEqual(last, { kind: 'word', text: 'end', line: 7 });
  });
});

describe('findFunctions', () => {
  const names = (source: string): string[] =>
    findFunctions(source).map((f) => `${f.name} ${f.firstLine}-${f.lastLine}`);

  const rows: [title: string, source: string, expected: string[]][] = [
    [
      'a declaration with object types',
      'function f(a: { b: string }): Promise<{ c: number }> {\n return g(a);\n}',
      ['f 1-3'],
    ],
    [
      'methods, getters, private ones',
      'class A {\n  get x() { return 1; }\n  async #y(): Promise<void> {\n }\n}',
      ['x 2-2', '#y 3-4'],
    ],
    ['blocks are none', 'if (a) {\n} for (;;) { } while (b) { } switch (c) { } try { } catch (e) { }', []],
    ['an awaiting loop is none', 'for await (const a of b) { }', []],
    ['arrows with a body', 'const f = async (a) => {\n};\nconst g = (a) => a;', ['f 1-2']],
    ['an object that an arrow returns is none', 'const f = () => ({ a: 1 });', []],
    ['a callback', "on('x', () => {\n});", ['callback of on 1-2']],
    ['template expressions do not end a body', 'function f() {\n return `${g({})}`;\n}', ['f 1-3']],
    ['an anonymous function', 'const f = function () { };', ['f 1-1']],
  ];
  for (const [title, source, expected] of rows) it(title, () => assert.deepEqual(names(source), expected));

  it('knows a suite from a function', () => {
    const [suite, test] = findFunctions("describe('x', { timeout: 3 }, () => {\n it('y', () => {});\n});");
    assert.equal(suite?.isSuite, true);
    assert.equal(test?.isSuite, false);
  });
});
