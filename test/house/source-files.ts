// The project's own files as the tidy rules see them: path from the root, text, tokens on demand.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { codeOf, stringValue, type Token, tokenize } from './tokens.ts';

export interface SourceFile {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly isCode: boolean;
  readonly isTest: boolean;
  readonly isGenerated: boolean;
  /** Comments included; empty for what is no code. */
  readonly tokens: readonly Token[];
  readonly code: readonly Token[];
  readonly imports: readonly Import[];
}

export interface Import {
  /** As written. */
  readonly specifier: string;
  readonly line: number;
  /** `import type` or `export type`: gone at run time. */
  readonly typeOnly: boolean;
  /** Path from the root for a relative specifier, null for a package or a built-in. */
  readonly target: string | null;
}

/** Something a rule found, and what to do about it. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

const skippedFolders = new Set(['node_modules', '.git', '.cache', 'results', 'generated-docs', 'dist']);
const textEndings = /\.(ts|mjs|js|json|md|ya?ml|proto|pl|sh|html|css|txt)$|^(Dockerfile|LICENSE|run|\.gitignore)$/;

/** Reads every text file of the project under `root`. */
export function readProject(root: string): SourceFile[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && textEndings.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .filter((file) => !file.split('/').some((part) => skippedFolders.has(part)))
    .sort()
    .map((file) => sourceFile(file, readFileSync(path.join(root, file), 'utf8')));
}

/** A file as the rules see it. */
export function sourceFile(filePath: string, text: string): SourceFile {
  const isCode = /\.(ts|mjs)$/.test(filePath);
  const isGenerated = filePath.split('/').includes('generated');
  const tokens = isCode ? tokenize(text) : [];
  const code = codeOf(tokens);
  return {
    path: filePath,
    text,
    lines: text.split('\n'),
    isCode,
    isTest: filePath.startsWith('test/') || /\.test\.ts$/.test(filePath),
    isGenerated,
    tokens,
    code,
    imports: importsOf(filePath, code),
  };
}

/** The first folder under src of a path, or the first folder of one that lies elsewhere: `src/h2/x.ts` → `h2`. */
export function folderOf(filePath: string): string {
  const parts = filePath.split('/');
  return (parts[0] === 'src' ? parts[1] : parts[0]) ?? '';
}

function importsOf(filePath: string, code: readonly Token[]): Import[] {
  const found: Import[] = [];
  for (let at = 0; at < code.length; at++) {
    const token = code[at] as Token;
    if (token.kind !== 'word' || (token.text !== 'import' && token.text !== 'export')) continue;
    if (code[at - 1]?.text === '.') continue;
    const specifier = specifierAfter(code, at);
    if (specifier === null) continue;
    const value = stringValue(specifier);
    const target = value.startsWith('.') ? path.posix.join(path.posix.dirname(filePath), value) : null;
    found.push({ specifier: value, line: token.line, typeOnly: code[at + 1]?.text === 'type', target });
  }
  return found;
}

/** The string of `import 'x'`, `import … from 'x'`, `export … from 'x'` and `import('x')`. */
function specifierAfter(code: readonly Token[], keyword: number): Token | null {
  const isImport = code[keyword]?.text === 'import';
  const next = code[keyword + 1];
  if (isImport && next?.kind === 'string') return next;
  if (isImport && next?.text === '(') return code[keyword + 2]?.kind === 'string' ? (code[keyword + 2] as Token) : null;
  if (!isImport && next?.text !== '{' && next?.text !== '*' && next?.text !== 'type') return null;
  for (let at = keyword + 1; at < code.length; at++) {
    const token = code[at] as Token;
    if (token.text === 'from' && code[at + 1]?.kind === 'string') return code[at + 1] as Token;
    const isClause = token.kind === 'word' || token.kind === 'string' || ['{', '}', ',', '*'].includes(token.text);
    if (!isClause) return null;
  }
  return null;
}
