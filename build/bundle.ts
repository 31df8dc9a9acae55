// The programs as JavaScript: one entry file per program, thread and helper that is started by its name, and what they
// share in chunks. Identifiers keep their names, so that a stack trace says where it happened without a source map.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type BuildResult, build, type OutputFile, type Plugin } from 'esbuild';
import { MeshError } from '../src/base/errors.ts';
import { projectFile, projectRoot } from '../src/base/project-files.ts';

export interface Bundle {
  /** JavaScript and the source maps beside it, by path from the root. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Everything that went in, by path from the root; packages lie under node_modules. */
  readonly inputs: readonly string[];
  /** Files and folders that its modules find with `projectFile`. */
  readonly assets: readonly string[];
}

const programs = ['ambientctl', 'ambient-node', 'ambient-waypoint', 'ambient-controller'] as const;
/** Piscina starts it from the folder in which its own code lies, which is that of the chunks. */
const workerOfPiscina = { in: 'node_modules/piscina/dist/worker.js', out: 'chunks/worker' };
const codeOfPiscina = 'node_modules/piscina/dist/index.js';
/** A bundle has no TypeScript that it could load ahead. */
const onlyAmongSources: readonly string[] = ['src/node/load-everything.ts'];
const pageFolder = 'src/page';
const namespace = 'names-of';
/** What packages that are not modules expect to be there. */
const commonJs =
  "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url)," +
  '__dirname=import.meta.dirname,__filename=import.meta.filename;';

/** Builds everything in memory; the same bytes for the same sources. Throws INTERNAL for what cannot be bundled. */
export async function bundle(): Promise<Bundle> {
  const programEntries = programs.map((name) => `src/bin/${name}.ts`);
  const found = modulesStartedByName(programEntries);
  const entryPoints = [...found.map((source) => ({ in: source, out: source.replace(/\.ts$/, '') })), workerOfPiscina];
  const result = await build({
    absWorkingDir: projectRoot,
    entryPoints,
    outdir: projectRoot,
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    entryNames: '[dir]/[name]',
    chunkNames: 'chunks/[name]-[hash]',
    metafile: true,
    // An addon for other priorities of threads, which piscina can do without.
    external: ['@napi-rs/nice'],
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'linked',
    sourcesContent: true,
    legalComments: 'none',
    banner: { js: commonJs },
    plugins: [packagesOnDemand],
    logLevel: 'silent',
  });
  checkPiscina(result);
  const page = await bundlePage();
  const inputs = Object.keys(result.metafile.inputs)
    .filter((input) => !input.startsWith(`${namespace}:`))
    .sort();
  const files = new Map(
    [...result.outputFiles, ...page]
      .map((file: OutputFile) => [path.relative(projectRoot, file.path), file.contents] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return { files, inputs, assets: [...assetsOf(inputs), ...pageAssets()].sort() };
}

/** What browsers load, as one module under the name that the page gives it. */
async function bundlePage(): Promise<readonly OutputFile[]> {
  const { outputFiles } = await build({
    absWorkingDir: projectRoot,
    entryPoints: [`${pageFolder}/ui/main.ts`],
    outfile: path.join(projectRoot, pageFolder, 'ui/main.js'),
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  });
  return outputFiles;
}

/** The files of the page that are served as they are. */
function pageAssets(folder = pageFolder): string[] {
  return readdirSync(projectFile(folder), { withFileTypes: true }).flatMap((entry) => {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return pageAssets(file);
    return /\.(html|css|svg)$/.test(entry.name) ? [file] : [];
  });
}

/**
 * Sources load large packages when they need them. By `require` that becomes a call of the wrapped package; by `import`
 * the package stands in a chunk, which has to export its names: of CommonJS the bundler exports the default alone.
 */
const packagesOnDemand: Plugin = {
  name: 'packages on demand',
  setup({ onLoad, onResolve }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
      const text = readFileSync(file, 'utf8');
      const changed = text
        .replace(/createRequire\(import\.meta\.url\)\('([^.'][^']*)'\)/g, "require('$1')")
        .replace(/await import\('((?!node:)[^.'][^']*)'\)/g, "await import('names-of:$1')");
      return changed === text ? undefined : { contents: changed, loader: 'ts' };
    });
    onResolve({ filter: /^names-of:/ }, ({ path: name }) => ({ path: name.slice('names-of:'.length), namespace }));
    onLoad({ filter: /.*/, namespace }, async ({ path: name }) => {
      const names = Object.keys((await import(name)) as object).filter((each) => /^(?!default$)[\w$]+$/.test(each));
      const contents = `export { ${names.sort().join(', ')} } from '${name}';`;
      return { contents, loader: 'js', resolveDir: projectRoot };
    });
  },
};

/** The entries, and every module that one of them or their imports starts by its path: `'src/…/name.ts'`. */
function modulesStartedByName(entries: readonly string[]): string[] {
  const found = new Set(entries);
  const read = new Set<string>();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (read.has(file)) continue;
    read.add(file);
    const text = readFileSync(projectFile(file), 'utf8');
    for (const [, named = ''] of text.matchAll(/'(src\/[\w/-]+\.ts)'/g)) {
      if (onlyAmongSources.includes(named)) continue;
      found.add(named);
      waiting.push(named);
    }
    for (const [, specifier = ''] of text.matchAll(/(?:from|import|import\()\s*'(\.[^']+\.ts)'/g)) {
      waiting.push(path.join(path.dirname(file), specifier));
    }
  }
  return [...found].sort();
}

function checkPiscina({ metafile }: BuildResult<{ metafile: true }>): void {
  const places = Object.entries(metafile.outputs).filter(([, { inputs }]) => codeOfPiscina in inputs);
  if (places.length > 0 && places.every(([file]) => file.startsWith('chunks/'))) return;
  throw new MeshError('INTERNAL', { reason: 'piscina is not in a chunk, and would not find its worker beside it' });
}

/** Of our own sources alone, and nothing that is made anew or lies outside of the product. */
function assetsOf(inputs: readonly string[]): string[] {
  const sources = inputs.filter((file) => file.startsWith('src/'));
  const named = sources.flatMap((file) =>
    [...readFileSync(projectFile(file), 'utf8').matchAll(/projectFile\('([^']+)'\)/g)].map(([, asset = '']) => asset),
  );
  return [...new Set(named)].filter((each) => !/^(package\.json|node_modules\/.*)$/.test(each)).sort();
}
