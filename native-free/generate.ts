// `npm run generate`: turns src/discovery/proto/*.proto into src/discovery/generated, src/install into a chart, and
// values under deploy/helm into manifests under deploy/kustomize. Offline: the compiler is the binary in buf's npm
// package (no install script needed), the plug-in is protobuf-es, run by this very Node.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeshError } from '../src/base/errors.ts';

const projectRoot = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const protoDir = path.join(projectRoot, 'src/discovery/proto');
const kustomizeDir = path.join(projectRoot, 'deploy/kustomize');
const chartDir = path.join(projectRoot, 'deploy/helm/ambient');
export const generatedDir = path.join(projectRoot, 'src/discovery/generated');

const compileTimeoutMs = 60_000;

/**
 * Compiles every `.proto` of the project into `outDir`, which is emptied first. Throws USAGE with the compiler's words
 * when it fails.
 */
export function generate(outDir: string): void {
  const template = {
    version: 'v2',
    plugins: [
      {
        local: [process.execPath, packageFile('@bufbuild/protoc-gen-es', 'bin/protoc-gen-es')],
        out: outDir,
        opt: ['target=ts', 'import_extension=ts', 'erasable_syntax=true'],
      },
    ],
  };
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  const run = spawnSync(bufPath(), ['generate', protoDir, '--template', JSON.stringify(template)], {
    encoding: 'utf8',
    timeout: compileTimeoutMs,
  });
  if (run.status !== 0) {
    throw new MeshError('USAGE', { reason: `buf generate failed: ${run.stderr || String(run.error)}` });
  }
}

/**
 * The compiler itself: its platform package is an ordinary dependency, so it is there even when install scripts are
 * off.
 */
function bufPath(): string {
  const platform = process.arch === 'arm64' ? 'linux-aarch64' : `linux-${process.arch}`;
  return packageFile(`@bufbuild/buf-${platform}`, 'bin/buf');
}

function packageFile(name: string, file: string): string {
  const require = createRequire(import.meta.url);
  return path.join(path.dirname(require.resolve(`${name}/package.json`)), file);
}

/** Writes what `ambientctl install` prints with the profile of each folder of deploy/kustomize, if there is one. */
async function generateManifests(): Promise<void> {
  const { installManifests, manifestsText } = await import('../src/install/manifests.ts');
  const { readValues } = await import('../src/install/values.ts');
  for (const name of readdirSync(kustomizeDir)) {
    const file = path.join(chartDir, `values-${name}.yaml`);
    const files = existsSync(file) ? [{ text: readFileSync(file, 'utf8'), file }] : [];
    const outDir = path.join(kustomizeDir, name, 'generated');
    mkdirSync(outDir, { recursive: true });
    const head = '# Made by `npm run generate`; change src/install or deploy/helm/ambient/values-*.yaml instead.\n';
    const text = await manifestsText(installManifests(await readValues({ files })));
    writeFileSync(path.join(outDir, 'ambient.yaml'), head + text);
  }
}

/** Writes every made file of the chart, and the table of values into docs/install.md. */
async function generateChart(): Promise<void> {
  const { chartFiles, documentedValues } = await import('./chart/chart-files.ts');
  const files = await chartFiles();
  const kept = new Set(['_helpers.tpl', 'NOTES.txt']);
  for (const name of readdirSync(path.join(chartDir, 'templates'))) {
    if (!kept.has(name)) rmSync(path.join(chartDir, 'templates', name), { recursive: true });
  }
  for (const [name, text] of files) {
    const file = path.join(chartDir, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const page = path.join(projectRoot, 'docs/install.md');
  const table = await documentedValues();
  const between = /(<!-- values -->\n)[\s\S]*?(<!-- end of values -->)/;
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace(between, (_all, head, end) => `${head}${table}${end}`),
  );
}

/** Writes docs/metrics.md. */
async function generateMetricPage(): Promise<void> {
  const { metricPage } = await import('../src/telemetry/metric-page.ts');
  writeFileSync(path.join(projectRoot, 'docs/metrics.md'), metricPage());
}

/** Writes docs/cli.md. */
async function generateCliPage(): Promise<void> {
  const { cliPage } = await import('../src/cli/cli-page.ts');
  writeFileSync(path.join(projectRoot, 'docs/cli.md'), cliPage());
}

// Also when `run.mjs` imports it, which says so by the arguments.
if (import.meta.main || process.argv[1] === import.meta.filename) {
  generate(generatedDir);
  const { writeDashboards } = await import('./dashboards/main.ts');
  writeDashboards();
  await generateManifests();
  await generateChart();
  await generateMetricPage();
  await generateCliPage();
  process.stderr.write(
    `ambient: wrote ${path.relative(projectRoot, generatedDir)}, deploy/kustomize and deploy/helm\n`,
  );
}
