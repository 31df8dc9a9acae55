// The browser side of the live page as files to serve: what lies in src/page, and the few modules that it shares with
// the rest. Read once. Among sources the types are stripped here; a bundle has JavaScript under the same addresses.
import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { isBundled, projectRoot } from '../../base/project-files.ts';
import { pagePaths } from '../../model/page-views.ts';

export interface PageAsset {
  readonly contentType: string;
  readonly body: string;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ts': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};
const sources = path.join(projectRoot, 'src');
const folder = 'page';
const start = `${folder}/index.html`;
const imported =
  /(?:^|[\s;}])(?:import|export)\b[^'"]*?\bfrom\s*['"](\.[^'"]+)['"]|\bimport\s*\(?\s*['"](\.[^'"]+)['"]/g;

/**
 * Everything by its path: the page itself at `/`, the file `src/X` at `/assets/X`. Of modules outside of src/page those
 * alone that the page imports. Throws what cannot be read.
 */
export function readPageAssets(): ReadonlyMap<string, PageAsset> {
  const assets = new Map<string, PageAsset>();
  const waiting = filesIn(folder);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    // The page names its modules as the sources do, wherever they come from.
    const url = `${pagePaths.assets}${isBundled ? file.replace(/\.js$/, '.ts') : file}`;
    const contentType = types[path.extname(file)];
    if (assets.has(url) || contentType === undefined || file.endsWith('.test.ts')) continue;
    const text = readFileSync(path.join(sources, file), 'utf8');
    const body = file.endsWith('.ts') ? withoutTypes(text) : text;
    assets.set(file === start ? pagePaths.page : url, { contentType, body });
    if (file.endsWith('.ts')) waiting.push(...importsOf(file, body));
  }
  return assets;
}

/** Node says that this is experimental, which nobody who looks at the page can help: that alone is not told. */
function withoutTypes(code: string): string {
  const { emitWarning } = process;
  const tell = emitWarning as (this: unknown, ...said: readonly unknown[]) => void;
  process.emitWarning = (...said: readonly unknown[]): void => {
    if (!String(said[0]).startsWith('stripTypeScriptTypes ')) tell.apply(process, [...said]);
  };
  try {
    return stripTypeScriptTypes(code);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function importsOf(file: string, code: string): string[] {
  return [...code.matchAll(imported)].map(([, from, plain]) =>
    path.posix.join(path.posix.dirname(file), from ?? plain ?? ''),
  );
}

function filesIn(where: string): string[] {
  return readdirSync(path.join(sources, where), { withFileTypes: true }).flatMap((entry) => {
    const file = `${where}/${entry.name}`;
    return entry.isDirectory() ? filesIn(file) : [file];
  });
}
