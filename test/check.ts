// `npm run check`: everything that can be said about the sources without running them.
//
// Types, lint and format, tidiness, generated files. Every step runs, whatever the others found; 1 at the end if one
// failed.
import { spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../src/base/errors.ts';

const root = path.dirname(import.meta.dirname);
const generator = 'native-free/generate.ts';

interface Step {
  readonly name: string;
  /** What to do when it fails. */
  readonly hint: string;
  readonly run: () => Promise<{ readonly ok: boolean; readonly output: string }>;
}

const steps: readonly Step[] = [
  {
    name: 'types',
    hint: 'npx tsc --noEmit',
    run: () => node('node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'),
  },
  {
    name: 'types of the page',
    hint: 'npx tsc --noEmit -p src/page/ui',
    run: () => node('node_modules/typescript/bin/tsc', '--noEmit', '-p', 'src/page/ui'),
  },
  {
    name: 'lint and format',
    hint: 'npm run format, then see what is left',
    run: () =>
      node(
        'node_modules/@biomejs/biome/bin/biome',
        'ci',
        '--colors=off',
        '--diagnostic-level=warn',
        '--error-on-warnings',
        '.',
      ),
  },
  { name: 'tidy', hint: 'npm test -- tidy', run: () => node('--test', '--test-reporter=dot', 'test/tidy.test.ts') },
  { name: 'generated files', hint: 'npm run generate, and commit what it writes', run: generatedFilesAreFresh },
];

async function main(): Promise<number> {
  const failed: Step[] = [];
  for (const step of steps) {
    const startedMs = performance.now();
    const { ok, output } = await step.run().catch((error: unknown) => ({ ok: false, output: messageOf(error) }));
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${step.name} (${seconds} s)\n`);
    if (ok) continue;
    failed.push(step);
    process.stdout.write(`${output.trimEnd()}\n     to do: ${step.hint}\n`);
  }
  if (failed.length > 0) process.stdout.write(`check: failed in ${failed.map((step) => step.name).join(', ')}\n`);
  return failed.length > 0 ? 1 : 0;
}

/** Runs a script or program of the project with this Node; resolves with its exit and all that it wrote. */
function node(...args: string[]): Promise<{ ok: boolean; output: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ ok: boolean; output: string }>();
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  child.on('error', reject);
  child.on('close', (code) => resolve({ ok: code === 0, output }));
  return promise;
}

/**
 * Regenerates and compares. What was stale is now fresh on disk, so the remedy is a look and a commit; a generated file
 * that nobody generates any more is named too, since the generator leaves it untouched only if it still writes it.
 */
async function generatedFilesAreFresh(): Promise<{ ok: boolean; output: string }> {
  const before = readGenerated();
  if (!existsSync(path.join(root, generator))) {
    return { ok: before.size === 0, output: `there are generated files but no ${generator}` };
  }
  const result = await node(generator);
  if (!result.ok) return result;
  const after = readGenerated();
  const names = new Set([...before.keys(), ...after.keys()]);
  const stale = [...names].filter((name) => before.get(name) !== after.get(name));
  return { ok: stale.length === 0, output: `these were not what the generator writes:\n  ${stale.join('\n  ')}` };
}

function readGenerated(): Map<string, string> {
  const files = globSync(
    [
      'src/**/generated/**/*.ts',
      'deploy/**/generated/*.yaml',
      'deploy/helm/**/*.*',
      'docs/install.md',
      'docs/metrics.md',
      'docs/cli.md',
      'deploy/{grafana,prometheus}/*.*',
    ],
    { cwd: root },
  );
  return new Map(files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')]));
}

process.exitCode = await main();
