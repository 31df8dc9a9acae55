import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lineLengthMax } from './rules-code.ts';
import { tokenize } from './tokens.ts';
import { wrapComments } from './wrap-comments.ts';

const long = Array.from({ length: 30 }, (_, at) => `word${at}`).join(' ');
const words = (text: string): string[] => text.split(/[\s/*]+/).filter((word) => word !== '');

describe('wrapComments', () => {
  const rows: [title: string, source: string][] = [
    ['a line comment', `// ${long}\ncode();`],
    ['a doc comment on one line', `  /** ${long} */\n  code();`],
    ['a line of a doc comment', `/**\n * ${long}\n * ${long}\n */\ncode();`],
    ['a comment whose next line goes on', `// ${long}\n// and goes on\n// here.\ncode();`],
  ];
  for (const [title, source] of rows) {
    it(`${title} fits afterwards, with the same words in one comment`, () => {
      const wrapped = wrapComments(source);
      assert.ok(wrapped.split('\n').every((line) => line.length <= lineLengthMax));
      assert.deepEqual(words(wrapped), words(source));
      assert.equal(tokenize(wrapped).filter(({ kind }) => kind !== 'comment')[0]?.text, 'code');
    });
  }

  it('leaves code, strings and words without a gap alone', () => {
    for (const source of [
      `const a = '// ${long}';`,
      `call(); // ${long}`,
      `const t = \`\n// ${long}\n\`;`,
      `// ${'x'.repeat(130)}`,
    ]) {
      assert.equal(wrapComments(source), source);
    }
  });
});
