// Tidy rules about who may import whom, and about files that nobody imports.
import { type Finding, folderOf, type SourceFile } from './source-files.ts';
import { stringValue } from './tokens.ts';

/** Top to bottom: a folder imports itself and what stands below. Those of one row do not know each other. */
export const layers: readonly (readonly string[])[] = [
  ['bin'],
  ['cli'],
  ['lab'],
  ['node', 'waypoint', 'controller'],
  ['install'],
  ['proxy'],
  ['analyze', 'simulate'],
  ['http'],
  ['forward'],
  ['capture'],
  ['tunnel'],
  ['discovery'],
  ['kube'],
  ['identity'],
  ['policy'],
  ['page'],
  ['model'],
  ['telemetry'],
  ['config'],
  ['h2'],
  ['io'],
  ['base'],
];

/** Pairs that may import types upward: plain shapes that the lower folder carries without looking inside. */
const typesAllowed = new Set(['telemetry>model', 'config>model']);

/** What runs in the browser knows of the rest types of the model, and the module that says what the server tells. */
const browserFolder = 'page';
const browserContract = 'src/model/page-views.ts';

const rankOf = new Map(layers.flatMap((row, rank) => row.map((folder) => [folder, rank] as const)));

/** Imports that go up or sideways, and folders that have no place in the list. Tests may look at everything. */
export function importsGoDown(files: readonly SourceFile[]): Finding[] {
  return files.filter((file) => file.isCode && !file.isTest && !file.isGenerated).flatMap(upwardImports);
}

const layersDocument = 'docs/architecture.md';

/** Folders that the table of layers in the documentation leaves out, or lists before one that stands above them. */
export function layersDocumented(files: readonly SourceFile[]): Finding[] {
  const lines = files.find((file) => file.path === layersDocument)?.lines ?? [];
  const rows = lines.flatMap((text, at) => {
    const folder = /^\| `src\/(\w+)` \|/.exec(text)?.[1];
    return folder === undefined ? [] : [{ folder, line: at + 1, rank: rankOf.get(folder) }];
  });
  const misplaced = rows.filter(({ rank = Infinity }, at) =>
    rows.slice(0, at).some((above) => (above.rank ?? 0) > rank),
  );
  const listed = new Set(rows.map(({ folder }) => folder));
  return [
    ...misplaced.map(({ folder, line }) => ({ folder, line, remedy: 'move its row up, to where its layer is' })),
    ...rows
      .filter(({ rank }) => rank === undefined)
      .map((row) => ({ ...row, remedy: 'it is no layer: remove its row' })),
    ...[...rankOf.keys()]
      .filter((folder) => !listed.has(folder))
      .map((folder) => ({ folder, line: rows.at(0)?.line ?? 1, remedy: 'it has no row' })),
  ].map(({ folder, line, remedy }) => ({ path: layersDocument, line, message: `src/${folder}: ${remedy}` }));
}

function upwardImports(file: SourceFile): Finding[] {
  const from = folderOf(file.path);
  const isSource = file.path.startsWith('src/');
  if (isSource && !rankOf.has(from)) {
    const message = `src/${from} has no place in the layers: move the file, or name it in test/house/rules-layers.ts`;
    return [{ path: file.path, line: 1, message }];
  }
  const findings: Finding[] = [];
  for (const { target, line, typeOnly } of file.imports) {
    if (target === null) continue;
    const to = folderOf(target);
    const problem = isSource
      ? problemInSource(from, to, target, typeOnly)
      : problemOutside(from, to, target, file.path);
    if (problem !== null) findings.push({ path: file.path, line, message: `${problem} (it imports ${target})` });
  }
  return findings;
}

function problemInSource(from: string, to: string, target: string, typeOnly: boolean): string | null {
  if (target.startsWith('native-free/')) return null;
  if (!target.startsWith('src/')) return `the product must not need ${to}/; move what it needs under src/`;
  if (from === browserFolder && to !== browserFolder && target !== browserContract && !(typeOnly && to === 'model')) {
    return `${browserFolder} runs in the browser: it may import types of the model, and ${browserContract}`;
  }
  if (to === browserFolder && from !== to) return `${browserFolder} runs in the browser; move what both need down`;
  if (from === to || (typeOnly && typesAllowed.has(`${from}>${to}`))) return null;
  const own = rankOf.get(from) ?? 0;
  const other = rankOf.get(to) ?? -1;
  if (other > own) return null;
  const remedy = 'move the shared part down, or pass it in from above';
  return other === own ? `${from} and ${to} do not import each other; ${remedy}` : `${from} is below ${to}; ${remedy}`;
}

const generators = /^native-free\/(generate\.ts$|chart\/)/;

/** What runs before or beneath the product may use only its foundation; bench may use anything. */
function problemOutside(from: string, to: string, target: string, filePath: string): string | null {
  if (from !== 'native-free' || generators.test(filePath)) return null;
  if (to === 'native-free' || target.startsWith('src/base/')) return null;
  return 'native-free runs without the rest: it may import src/base only';
}

/** Entry files, the one among them that HTML names, and doubles that stand beside what they replace in tests. */
const unusedOnPurpose =
  /^src\/bin\/[\w-]+\.mjs$|^src\/page\/ui\/main\.ts$|\/(?:manual|fake|test|testing|fixtures)(?:-[\w-]+)?\.ts$/;

/** Files under src that no other file imports or names; they are dead, or somebody forgot to wire them. */
export function everyFileIsUsed(files: readonly SourceFile[]): Finding[] {
  const used = new Set<string>();
  const names = new Set<string>();
  for (const file of files) {
    if (file.isTest) continue;
    const specifiers = new Set(file.imports.map(({ specifier }) => specifier));
    for (const { target } of file.imports) if (target !== null && target !== file.path) used.add(target);
    for (const token of file.code) {
      const value = token.kind === 'string' ? stringValue(token) : '';
      if (!specifiers.has(value)) names.add(value.split('/').at(-1) ?? '');
    }
  }
  const named = (file: SourceFile): boolean => names.has(file.path.split('/').at(-1) ?? '');
  return files
    .filter((file) => file.isCode && file.path.startsWith('src/') && !file.isTest && !file.isGenerated)
    .filter((file) => !unusedOnPurpose.test(file.path) && !used.has(file.path) && !named(file))
    .map((file) => ({
      path: file.path,
      line: 1,
      message:
        'nothing but tests uses this file; delete it, wire it in, or call it test-… (fake-…) if it only serves tests',
    }));
}
