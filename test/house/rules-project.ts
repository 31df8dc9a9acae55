// Tidy rules that look across files: the one error table, documents, and words that belong to somebody's machine.
import path from 'node:path';
import type { Finding, SourceFile } from './source-files.ts';
import { stringValue } from './tokens.ts';

const tablePath = 'src/base/errors.ts';

/** Codes that are raised without being in the table, and codes in it that nothing names. */
export function oneErrorTable(files: readonly SourceFile[], codes: ReadonlySet<string>): Finding[] {
  const findings: Finding[] = [];
  const named = new Set<string>();
  for (const file of files.filter((f) => f.isCode && !f.isGenerated)) {
    file.code.forEach((token, at) => {
      if (token.kind !== 'string') return;
      const code = stringValue(token);
      if (!file.isTest && codes.has(code)) named.add(code);
      const raised = file.code[at - 1]?.text === '(' && file.code[at - 2]?.text === 'MeshError';
      if (raised && file.code[at - 3]?.text === 'new' && !codes.has(code)) {
        findings.push({ path: file.path, line: token.line, message: `${code} is not in ${tablePath}; add it there` });
      }
    });
  }
  for (const code of codes) {
    if (named.has(code)) continue;
    findings.push({ path: tablePath, line: 1, message: `${code} is raised nowhere; remove it from the table` });
  }
  return findings;
}

/** Markdown files without exactly one first-level heading. */
export function oneHeading(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => file.path.endsWith('.md'))
    .flatMap((file) => {
      const headings = proseLines(file).filter(({ text }) => /^# /.test(text));
      if (headings.length === 1) return [];
      const message = `${headings.length} headings of the first level; a document has one title and sections under it`;
      return [{ path: file.path, line: headings[1]?.line ?? 1, message }];
    });
}

/** Relative links in Markdown that lead to no file. */
export function linksLead(files: readonly SourceFile[], exists: (filePath: string) => boolean): Finding[] {
  return files
    .filter((file) => file.path.endsWith('.md'))
    .flatMap((file) =>
      proseLines(file).flatMap(({ text, line }) =>
        [...text.matchAll(/\]\(([^)\s]+)\)/g)]
          .map((match) => match[1] as string)
          .filter((link) => !/^(?:[a-z]+:|#)/.test(link))
          .map((link) => path.posix.join(path.posix.dirname(file.path), link.replace(/#.*$/, '')))
          .filter((target) => !exists(target))
          .map((target) => ({ path: file.path, line, message: `the link leads to ${target}, which is not there` })),
      ),
    );
}

function proseLines(file: SourceFile): { text: string; line: number }[] {
  let fence: string | null = null;
  return file.lines.flatMap((text, at) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(text)?.[1];
    if (mark !== undefined && (fence === null || mark.startsWith(fence))) {
      fence = fence === null ? mark : null;
      return [];
    }
    return fence === null ? [{ text, line: at + 1 }] : [];
  });
}

/** Spelled in pieces, so that this file does not find itself. */
const privateWords: readonly (readonly [pattern: RegExp, what: string])[] = [
  [new RegExp(`(?:^|[^\\w.~-])/(?:${['ho', 'me'].join('')}|${['Use', 'rs'].join('')})/[a-z]`), 'a home directory'],
  [new RegExp(`(?:^|[^\\w.}>*-])/${['ro', 'ot'].join('')}/`), "root's home directory"],
  [new RegExp(`(?:^|[^\\w.-])/${['wo', 'rk'].join('')}/`), 'a folder of one machine'],
  [new RegExp(`"resolve[d]": "(?!https://registry\\.${['npm', 'js'].join('')}\\.org/)`), 'a registry of one machine'],
  [/(?:^|\s)--(?:[r]egistry|(?:extra-)?[i]ndex-url)[= ]/, 'a registry of one machine'],
];

/** Paths and hosts that exist on one machine only. */
export function machineWords(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) =>
    file.lines.flatMap((text, at) =>
      privateWords
        .filter(([pattern]) => pattern.test(text))
        .map(([, what]) => ({
          path: file.path,
          line: at + 1,
          message: `${what}; write a path from the project's root, or leave it to a setting`,
        })),
    ),
  );
}

const dependenciesPath = 'docs/dependencies.md';

/** Dependencies without a line that says why, and lines about what is no dependency. */
export function dependenciesExplained(files: readonly SourceFile[]): Finding[] {
  const manifest = files.find((file) => file.path === 'package.json');
  const document = files.find((file) => file.path === dependenciesPath);
  if (manifest === undefined || document === undefined) return [];
  const fields = JSON.parse(manifest.text) as Record<string, Record<string, string> | undefined>;
  const needed = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap((key) =>
    Object.keys(fields[key] ?? {}),
  );
  const explained = new Map(
    proseLines(document).flatMap(({ text, line }) => {
      const cell = /^\| (`.*?`) \|/.exec(text)?.[1] ?? '';
      return [...cell.matchAll(/`([^`]+)`/g)].map((match) => [match[1] as string, line] as const);
    }),
  );
  return [
    ...needed
      .filter((name) => !explained.has(name))
      .map((name) => ({ path: dependenciesPath, line: 1, message: `say in one line what ${name} is for, and why` })),
    ...[...explained]
      .filter(([name]) => !needed.includes(name))
      .map(([name, line]) => ({ path: dependenciesPath, line, message: `${name} is no dependency; remove the line` })),
  ];
}
