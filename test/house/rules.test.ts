// The tidy rules on small samples: each finds what it is for, and nothing in what looks like it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bannedCode, leftovers, lengths, undocumented } from './rules-code.ts';
import { everyFileIsUsed, importsGoDown, layers, layersDocumented } from './rules-layers.ts';
import { dependenciesExplained, linksLead, machineWords, oneErrorTable, oneHeading } from './rules-project.ts';
import { type Finding, sourceFile } from './source-files.ts';

const sample = (files: Record<string, string>) => Object.entries(files).map(([path, text]) => sourceFile(path, text));
const places = (findings: readonly Finding[]): string[] => findings.map(({ path, line }) => `${path}:${line}`);

describe('importsGoDown', () => {
  const rows: [title: string, path: string, text: string, finds: RegExp | null][] = [
    ['down is fine', 'src/tunnel/a.ts', "import { b } from '../h2/b.ts';", null],
    ['within a folder is fine', 'src/h2/a.ts', "export * from './b.ts';", null],
    ['up is not', 'src/h2/a.ts', "import { b } from '../tunnel/b.ts';", /h2 is below tunnel/],
    ['an exported name counts', 'src/h2/a.ts', "export { b } from '../tunnel/b.ts';", /h2 is below tunnel/],
    ['a dynamic import counts', 'src/h2/a.ts', "await import('../tunnel/b.ts');", /h2 is below tunnel/],
    ['roles are apart', 'src/node/a.ts', "import '../controller/b.ts';", /do not import each other/],
    ['telemetry may see types of the model', 'src/telemetry/a.ts', "import type { A } from '../model/a.ts';", null],
    ['but no values', 'src/telemetry/a.ts', "import { a } from '../model/a.ts';", /telemetry is below model/],
    ['the page may see what it is told', 'src/page/a.ts', "import { a } from '../model/page-views.ts';", null],
    ['and types', 'src/page/a.ts', "import type { A } from '../model/views.ts';", null],
    ['but nothing else', 'src/page/a.ts', "import { a } from '../model/a.ts';", /runs in the browser/],
    ['nobody needs the page', 'src/cli/a.ts', "import { a } from '../page/a.ts';", /runs in the browser/],
    ['tests may look up', 'src/h2/a.test.ts', "import { b } from '../tunnel/b.ts';", null],
    ['the product needs no tests', 'src/h2/a.ts', "import { b } from '../../test/b.ts';", /must not need test/],
    ['a new folder asks for its place', 'src/misc/a.ts', '', /no place in the layers/],
    ['native-free stands on base', 'native-free/a.ts', "import { b } from '../src/cli/b.ts';", /src\/base only/],
    ['a string is no import', 'src/h2/a.ts', 'const a = "import x from \'../tunnel/b.ts\'";', null],
    ['packages are no layer', 'src/h2/a.ts', "import yaml from 'yaml';", null],
  ];
  for (const [title, path, text, finds] of rows) {
    it(title, () => {
      const findings = importsGoDown(sample({ [path]: text }));
      assert.equal(findings.length, finds === null ? 0 : 1);
      if (finds !== null) assert.match(findings[0]?.message ?? '', finds);
    });
  }
});

describe('everyFileIsUsed', () => {
  it('knows imports, entries and names in strings', () => {
    const findings = everyFileIsUsed(
      sample({
        'src/bin/a.mjs': "await runWithRuntime('src/bin/a.ts');",
        'src/bin/a.ts': "import { b } from '../base/b.ts';",
        'src/base/b.ts': "new Worker(new URL('./c.ts', import.meta.url));",
        'src/base/c.ts': '',
        'src/base/dead.ts': "import './dead.ts'; // dead.ts",
        'src/base/tested.ts': '',
        'src/base/tested.test.ts': "import './tested.ts';",
      }),
    );
    assert.deepEqual(places(findings), ['src/base/dead.ts:1', 'src/base/tested.ts:1']);
  });
});

describe('lengths', () => {
  const long = (count: number): string => 'a();\n'.repeat(count);

  it('allows the limits and no more', () => {
    const ok = sample({ 'src/base/a.ts': `function f() {\n${long(68)}}\n${long(430)}` });
    assert.deepEqual(lengths(ok), []);
    const bad = sample({ 'src/base/a.ts': `function f() {\n${long(69)}}\n${long(430)}${'x'.repeat(121)}` });
    assert.deepEqual(places(lengths(bad)), ['src/base/a.ts:501', 'src/base/a.ts:1', 'src/base/a.ts:502']);
  });

  it('lets a long text stand, since it has nowhere to break', () => {
    assert.deepEqual(lengths(sample({ 'src/base/a.ts': `const a = '${'x '.repeat(80)}';` })), []);
  });

  it('leaves suites and generated files alone', () => {
    const files = sample({
      'src/base/a.test.ts': `describe('a', () => {\n${long(100)}});`,
      'src/discovery/generated/b.ts': long(900),
    });
    assert.deepEqual(lengths(files), []);
  });
});

describe('bannedCode', () => {
  const rows: [title: string, path: string, text: string, finds: number][] = [
    ['enum', 'src/h2/a.ts', 'export enum A { b }', 1],
    ['a property called enum', 'src/h2/a.ts', 'const a = { enum: 1 }; a.enum;', 0],
    ['a default export', 'bench/a.ts', 'export default a;', 1],
    ['throwing an Error', 'src/h2/a.ts', "throw new Error('x');", 1],
    ['throwing one in a test', 'src/h2/a.test.ts', "throw new Error('x');", 0],
    ['a comment about it', 'src/h2/a.ts', "// throw new Error('x')\n`throw new Error('x')`", 0],
    ['code in a template', 'src/h2/a.ts', '`${console.log(1)}`', 1],
    ['the console in the command line', 'src/cli/a.ts', 'console.log(1)', 0],
    ['the clock in the model', 'src/model/a.ts', 'Date.now(); setTimeout(f, 1); Math.random(); new Date();', 4],
    ['a date from a value', 'src/model/a.ts', 'new Date(nowMs)', 0],
    ['the clock elsewhere', 'src/forward/a.ts', 'Date.now()', 0],
    [
      'a file that asks where it lies',
      'src/lab/a.ts',
      'path.join(import.meta.dirname, x); new URL(y, import.meta.url)',
      2,
    ],
    ['a package that is loaded on demand', 'src/lab/a.ts', "createRequire(import.meta.url)('jose')", 0],
    ['a private modifier', 'src/h2/a.ts', 'class A { private b = 1; }', 1],
    ['a private constructor', 'src/h2/a.ts', 'class A { private constructor() {} }', 0],
    ['a lone test', 'src/h2/a.test.ts', "it.only('x', f);", 1],
    ['a skipped test', 'src/h2/a.test.ts', "test.skip('x', f);", 1],
  ];
  for (const [title, path, text, finds] of rows) {
    it(title, () => assert.equal(bannedCode(sample({ [path]: text })).length, finds));
  }
});

describe('layersDocumented', () => {
  const told = (folders: readonly string[]) => {
    const table = folders.map((folder) => `| \`src/${folder}\` | what it is |`).join('\n');
    return layersDocumented(sample({ 'docs/architecture.md': table })).map(({ message }) => message);
  };
  const all = layers.flat();
  it('is content with the list as it is', () => assert.deepEqual(told(all), []));
  it('misses a folder', () =>
    assert.deepEqual(told(all.filter((each) => each !== 'http')), ['src/http: it has no row']));
  it('finds one that stands too low', () =>
    assert.deepEqual(told([...all.filter((each) => each !== 'io'), 'io']), [
      'src/io: move its row up, to where its layer is',
    ]));
  it('finds one that is none', () =>
    assert.deepEqual(told([...all, 'attic']), ['src/attic: it is no layer: remove its row']));
});

describe('leftovers', () => {
  it('reads comments only', () => {
    const note = `FIX${'ME'}`;
    assert.deepEqual(places(leftovers(sample({ 'src/h2/a.ts': `a;\n// ${note}: later\nconst b = '${note}';` }))), [
      'src/h2/a.ts:2',
    ]);
  });
});

describe('undocumented', () => {
  const rows: [title: string, text: string, finds: number][] = [
    ['a bare function', 'export function f() {}', 1],
    ['a line comment is not enough', '// says\nexport async function f() {}', 1],
    ['a doc comment', '/** Says. */\nexport class A {}', 0],
    ['overloads share one', '/** Says. */\nexport function f(): void;\nexport function f(a?: 1): void {}', 0],
    ['types and constants speak for themselves', 'export type A = 1; export const b = 2; export interface C {}', 0],
    ['what is not exported', 'function f() {}', 0],
  ];
  for (const [title, text, finds] of rows) {
    it(title, () => assert.equal(undocumented(sample({ 'src/h2/a.ts': text })).length, finds));
  }
});

describe('oneErrorTable', () => {
  it('finds codes that are not in the table, and codes that nobody raises', () => {
    const findings = oneErrorTable(
      sample({
        'src/h2/a.ts': "throw new MeshError('A'); throw new MeshError('B', {});",
        'src/h2/a.test.ts': "causedBy(error, 'C')",
      }),
      new Set(['A', 'C']),
    );
    assert.deepEqual(
      findings.map(({ message }) => message.split(' ')[0]),
      ['B', 'C'],
    );
  });
});

describe('documents', () => {
  it('have one title; code blocks do not count', () => {
    const files = sample({ 'a.md': '# A\n```sh\n# no\n```\n## B\n', 'b.md': '# A\n\n# B\n', 'c.md': 'none\n' });
    assert.deepEqual(places(oneHeading(files)), ['b.md:3', 'c.md:1']);
  });

  it('have links that lead somewhere', () => {
    const files = sample({ 'docs/a.md': '[a](b.md#x) [b](../README.md) [c](#here) [d](https://example.com/x)\n' });
    assert.deepEqual(
      linksLead(files, (target) => target === 'README.md').map(({ message }) => message.split(' ')[4]),
      ['docs/b.md,'],
    );
  });
});

describe('dependenciesExplained', () => {
  it('compares package.json with its document, both ways', () => {
    const files = sample({
      'package.json': '{"dependencies":{"a":"1"},"devDependencies":{"b":"1","@c/d":"1"}}',
      'docs/dependencies.md': '# D\n\n| `a`, `@c/d` | why |\n| `gone` | why |\n',
    });
    assert.deepEqual(places(dependenciesExplained(files)), ['docs/dependencies.md:1', 'docs/dependencies.md:4']);
  });
});

describe('machineWords', () => {
  it('finds paths and registries of one machine', () => {
    const bad = [
      ['', 'home', 'ann', 'x'],
      ['', 'root', 'x'],
      ['', 'work', 'x'],
    ].map((parts) => parts.join('/'));
    const text = [...bad, '~/x', 'src/work/x', 'https://example.com/home/x', 'npm ci'].join('\n');
    assert.deepEqual(places(machineWords(sample({ 'a.sh': text }))), ['a.sh:1', 'a.sh:2', 'a.sh:3']);
  });
});
