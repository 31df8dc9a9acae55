// Tidy rules about the code inside one file: lengths, banned words with what to write instead, doc comments.
import { findFunctions } from './functions.ts';
import type { Finding, SourceFile } from './source-files.ts';
import type { Token } from './tokens.ts';

export const fileLinesMax = 500;
export const functionLinesMax = 70;
export const lineLengthMax = 120;

const written = (file: SourceFile): boolean => file.isCode && !file.isGenerated;
const inFolders =
  (...folders: string[]) =>
  (file: SourceFile): boolean =>
    folders.some((folder) => file.path.startsWith(`${folder}/`));
const isPure = inFolders('src/model', 'src/policy');

/** Files, functions and lines that are too long to read. */
export function lengths(files: readonly SourceFile[]): Finding[] {
  return files.filter(written).flatMap((file) => [...fileLength(file), ...functionLengths(file), ...lineLengths(file)]);
}

function fileLength(file: SourceFile): Finding[] {
  const count = file.text.endsWith('\n') ? file.lines.length - 1 : file.lines.length;
  if (count <= fileLinesMax) return [];
  const message = `${count} lines, at most ${fileLinesMax}: split it by concept, one per file`;
  return [{ path: file.path, line: fileLinesMax + 1, message }];
}

function functionLengths(file: SourceFile): Finding[] {
  return findFunctions(file.text).flatMap(({ name, firstLine, lastLine, isSuite }) => {
    const count = lastLine - firstLine + 1;
    if (isSuite || count <= functionLinesMax) return [];
    const message = `${name} has ${count} lines, at most ${functionLinesMax}: give its steps names of their own`;
    return [{ path: file.path, line: firstLine, message }];
  });
}

/** A text that fills most of a line has nowhere to break; a test's title, say. */
const longTextMin = 60;

function lineLengths(file: SourceFile): Finding[] {
  const isText = (kind: string): boolean => kind === 'string' || kind === 'template';
  const unbreakable = new Set(
    file.tokens.filter(({ kind, text }) => isText(kind) && text.length >= longTextMin).map(({ line }) => line),
  );
  return file.lines.flatMap((text, at) => {
    if (text.length <= lineLengthMax || unbreakable.has(at + 1)) return [];
    const message = `${text.length} columns, at most ${lineLengthMax}: npm run format, then break what it leaves`;
    return [{ path: file.path, line: at + 1, message }];
  });
}

interface Ban {
  /** Texts of consecutive code tokens; null stands for any word, an expression for a word that it matches. */
  readonly tokens: readonly (string | RegExp | null)[];
  readonly where: (file: SourceFile) => boolean;
  readonly instead: string;
}

/** A private constructor has no other way to be written. */
const otherThanConstructor = /^(?!constructor$)/;
/** The one file that asks, and what only tests load. */
const findsItself = /^src\/base\/project-files\.ts$|\/testing-[\w-]+\.ts$/;
const inClock = 'take the time as an argument: model and policy are pure';
const bans: readonly Ban[] = [
  { tokens: ['enum', null, '{'], where: written, instead: 'enum does not erase; write an `as const` table' },
  { tokens: ['export', 'default'], where: written, instead: 'export by name, so that one thing has one name' },
  { tokens: ['setTimeout', '('], where: isPure, instead: inClock },
  { tokens: ['setInterval', '('], where: isPure, instead: inClock },
  { tokens: ['Date', '.', 'now'], where: isPure, instead: inClock },
  { tokens: ['new', 'Date', '(', ')'], where: isPure, instead: inClock },
  { tokens: ['performance', '.', 'now'], where: isPure, instead: inClock },
  { tokens: ['Math', '.', 'random'], where: isPure, instead: 'take the randomness as an argument' },
  {
    tokens: ['throw', 'new', 'Error', '('],
    where: (file) => inFolders('src', 'native-free')(file) && !file.isTest && file.path !== 'src/base/assert.ts',
    instead: 'throw a MeshError with a code of src/base/errors.ts; for a programmer error, use src/base/assert.ts',
  },
  {
    tokens: ['console', '.'],
    where: (file) => !file.isTest && !inFolders('src/cli', 'bench', 'test')(file),
    instead: 'use the logger of src/telemetry, or return what should be said',
  },
  ...[
    ['import', '.', 'meta', '.', 'dirname'],
    ['import', '.', 'meta', '.', 'filename'],
    [',', 'import', '.', 'meta', '.', 'url'],
  ].map((tokens) => ({
    tokens,
    where: (file: SourceFile) => inFolders('src')(file) && !file.isTest && !findsItself.test(file.path),
    instead: 'a bundle lies elsewhere; write projectFile(…) or modulePath(…) of src/base/project-files.ts',
  })),
  {
    tokens: ['private', otherThanConstructor],
    where: written,
    instead: 'write #name: private to the language, not only to the checker',
  },
  ...['it', 'test', 'describe'].flatMap((name) => [
    { tokens: [name, '.', 'only'], where: written, instead: 'remove .only: it silently drops every other test' },
    { tokens: [name, '.', 'skip'], where: written, instead: 'a test that cannot run fails; fix it or delete it' },
  ]),
];

/** Code that we do not write, each with what to write instead. */
export function bannedCode(files: readonly SourceFile[]): Finding[] {
  return files.filter(written).flatMap((file) => {
    const active = bans.filter((ban) => ban.where(file));
    return file.code.flatMap((token, at) =>
      active
        .filter((ban) => ban.tokens.every((text, offset) => matches(file.code[at + offset], text)))
        .filter(() => file.code[at - 1]?.text !== '.')
        .map((ban) => {
          const what = ban.tokens.map((text) => (typeof text === 'string' ? text : '…')).join(' ');
          return { path: file.path, line: token.line, message: `\`${what}\`: ${ban.instead}` };
        }),
    );
  });
}

function matches(token: Token | undefined, text: string | RegExp | null): boolean {
  if (token === undefined || token.kind === 'string') return false;
  if (typeof text === 'string') return token.text === text;
  return token.kind === 'word' && (text === null || text.test(token.text));
}

/** Notes to oneself that were left behind. */
export function leftovers(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(written)
    .flatMap((file) =>
      file.tokens
        .filter((token) => token.kind === 'comment' && /\b(FIX[M]E|XX[X]|TOD[O])\b/.test(token.text))
        .map(({ line }) => ({ path: file.path, line, message: 'do it now, or open an issue and remove the note' })),
    );
}

/** Exported functions and classes without a doc comment right above. */
export function undocumented(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => written(file) && !file.isTest && inFolders('src', 'native-free')(file))
    .flatMap((file) => undocumentedIn(file));
}

function undocumentedIn(file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (let at = 0; at < file.tokens.length; at++) {
    if (file.tokens[at]?.text !== 'export' || file.tokens[at]?.kind !== 'word') continue;
    const name = exportedCallable(file.tokens, at + 1);
    if (name === null || file.tokens[at - 1]?.text.startsWith('/**')) continue;
    if (findings.at(-1)?.message.startsWith(`${name} `) || isOverload(file.tokens, at, name)) continue;
    const message = `${name} is exported and says nothing: what it returns (shape, unit), what it throws, its source`;
    findings.push({ path: file.path, line: file.tokens[at]?.line ?? 1, message });
  }
  return findings;
}

/** The name of a function or class exported at `at`; null for anything else. */
function exportedCallable(tokens: readonly Token[], at: number): string | null {
  let word = tokens[at]?.text;
  if (word === 'async' || word === 'abstract') word = tokens[++at]?.text;
  if (word === 'class') return tokens[at + 1]?.text ?? null;
  if (word === 'function') return (tokens[at + 1]?.text === '*' ? tokens[at + 2] : tokens[at + 1])?.text ?? null;
  return null;
}

/** A further signature of one function is documented by the first. */
function isOverload(tokens: readonly Token[], at: number, name: string): boolean {
  return tokens.slice(0, at).some((token, i) => token.text === 'function' && tokens[i + 1]?.text === name);
}
