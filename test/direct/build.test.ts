// What `npm run build` makes: the same bytes every time, everything of others named with its licence, and programs that
// run where no source is.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { krewTree } from '../../build/krew.ts';
import { type BuiltPackage, buildPackage, licencesFile, sbomFile } from '../../build/package.ts';
import { writeTree } from '../../build/tree.ts';
import { projectFile } from '../../src/base/project-files.ts';

interface Sbom {
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly purl: string;
    readonly licenses?: readonly { readonly expression?: string }[];
  }[];
}

const project = JSON.parse(readFileSync(projectFile('package.json'), 'utf8')) as {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
};
let built: BuiltPackage;
let folder = '';

const textOf = (file: string): string => Buffer.from(built.tree.get(file)?.bytes ?? '').toString('utf8');

function run(program: string, ...args: string[]) {
  return spawnSync(process.execPath, [path.join(folder, 'src/bin', `${program}.mjs`), ...args], { encoding: 'utf8' });
}

before(async () => {
  built = await buildPackage();
  folder = await mkdtemp(path.join(tmpdir(), 'ambient-build-'));
  writeTree(folder, built.tree);
});
after(() => rm(folder, { recursive: true, force: true }));

test('two builds are the same, byte for byte', async () => {
  const again = await buildPackage();
  for (const [one, other] of [
    [built.tree, again.tree],
    [built.maps, again.maps],
  ] as const) {
    assert.deepEqual([...one.keys()], [...other.keys()]);
    for (const [file, { bytes }] of one) {
      assert.ok(Buffer.from(bytes).equals(Buffer.from(other.get(file)?.bytes ?? '')), `${file} differs`);
    }
  }
});

test('no source, no source map and no path of this machine is in the package', () => {
  for (const [file] of built.tree) {
    assert.doesNotMatch(file, /\.(ts|map)$|\.test\./);
    assert.ok(!textOf(file).includes(projectFile('')), `${file} names the folder in which it was built`);
  }
});

test('every package of the bundle is listed with its version and its licence, and its text is there', () => {
  const sbom = JSON.parse(textOf(sbomFile)) as Sbom;
  assert.deepEqual([sbom.metadata.component.name, sbom.metadata.component.version], ['ambient-mesh', project.version]);
  const listed = new Map(sbom.components.map((each) => [each.name, each]));
  for (const name of Object.keys(project.dependencies)) assert.ok(listed.has(name), `${name} is not listed`);
  const licences = textOf(licencesFile);
  const rule = '-'.repeat(100);
  for (const { name, version, purl, licenses } of sbom.components) {
    const { version: installed } = JSON.parse(readFileSync(projectFile(`node_modules/${name}/package.json`), 'utf8'));
    assert.equal(version, installed, name);
    assert.match(purl, /^pkg:npm\/[^@]+@\d/);
    assert.match(licenses?.[0]?.expression ?? '', /MIT|ISC|Apache-2\.0|BSD/, `the licence of ${name}`);
    const [, text = ''] = licences.split(`${rule}\n${name} ${version}\n${rule}\n`);
    assert.match(text.slice(0, 4_000), /copyright|permission/i, `the licence text of ${name}`);
  }
});

test('the package holds what was built and nothing else, and names its programs', () => {
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', folder], { encoding: 'utf8' }));
  const files = (packed as { files: { path: string }[] }).files.map((file) => file.path);
  assert.deepEqual(files.sort(), [...built.tree.keys()].sort());
  const { bin, dependencies } = JSON.parse(textOf('package.json'));
  assert.deepEqual(bin, project.bin);
  assert.equal(dependencies, undefined);
  for (const file of Object.values(bin as Record<string, string>)) assert.ok(built.tree.get(file)?.isProgram, file);
});

test('every program starts from the package alone', () => {
  // What completes for kubectl only answers questions of kubectl's.
  for (const program of Object.keys(project.bin).filter((name) => name !== 'kubectl_complete-ambient')) {
    const { stdout, stderr, status } = run(program, program === 'ambientctl' ? 'version' : '--version');
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`\\b${project.version.replaceAll('.', '\\.')}\\b`), program);
  }
});

test('files that are found by name are in the package: it prints the manifests that the sources print', () => {
  const { stdout, stderr } = run('ambientctl', 'install');
  const own = spawnSync(process.execPath, [projectFile('src/bin/ambientctl.ts'), 'install'], { encoding: 'utf8' });
  assert.equal(stderr, own.stderr);
  assert.equal(stdout, own.stdout);
  assert.match(stdout, /kind: CustomResourceDefinition/);
});

/** What krew itself asks of a manifest (its `ValidatePlugin`), and the rules of its index. */
function assertKrewPlugin(plugin: KrewPlugin): void {
  assert.deepEqual([plugin.apiVersion, plugin.kind], ['krew.googlecontainertools.github.com/v1alpha2', 'Plugin']);
  assert.match(plugin.metadata.name, /^[\w-]+$/);
  assert.match(plugin.spec.version, /^v\d+\.\d+\.\d+$/);
  assert.match(plugin.spec.homepage, /^https:\/\//);
  assert.match(plugin.spec.shortDescription, /^[^\n]{1,50}$/);
  assert.ok(plugin.spec.platforms.length > 0);
  const known = ['apiVersion', 'kind', 'metadata', 'spec'];
  assert.deepEqual(Object.keys(plugin), known);
  for (const { uri, sha256, bin, selector } of plugin.spec.platforms) {
    assert.match(uri, /^https:\/\/.*\.tar\.gz$/);
    assert.match(sha256, /^[a-f0-9]{64}$/);
    assert.ok(bin !== '' && !path.isAbsolute(bin));
    assert.deepEqual(Object.keys(selector), ['matchLabels']);
    assert.deepEqual(Object.keys(selector.matchLabels), ['os', 'arch']);
  }
}

interface KrewPlugin {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly version: string;
    readonly homepage: string;
    readonly shortDescription: string;
    readonly platforms: readonly {
      readonly selector: { readonly matchLabels: { readonly os: string; readonly arch: string } };
      readonly uri: string;
      readonly sha256: string;
      readonly bin: string;
    }[];
  };
}

test('the plugin for krew: its manifest is in order, and each archive is the one it names, and runs', async (context) => {
  const krew = krewTree(built.tree, built.main, 'https://example.org/ambient/');
  const plugin = parse(String(krew.get('ambient.yaml')?.bytes)) as KrewPlugin;
  assertKrewPlugin(plugin);
  assert.deepEqual([plugin.metadata.name, plugin.spec.version], ['ambient', `v${project.version}`]);
  const where = await mkdtemp(path.join(tmpdir(), 'ambient-krew-'));
  context.after(() => rm(where, { recursive: true, force: true }));
  writeTree(where, krew);
  for (const { uri, sha256, selector } of plugin.spec.platforms) {
    const { os, arch } = selector.matchLabels;
    assert.equal(
      uri,
      `https://example.org/ambient/v${project.version}/kubectl-ambient-${project.version}-${os}-${arch}.tar.gz`,
    );
    const archive = readFileSync(path.join(where, path.basename(uri)));
    assert.equal(createHash('sha256').update(archive).digest('hex'), sha256);
  }
  // As krew does: unpacked, and linked under the name by which kubectl finds it.
  const [first] = plugin.spec.platforms;
  const store = path.join(where, 'store');
  mkdirSync(store);
  execFileSync('tar', ['-xzf', path.join(where, path.basename(first!.uri)), '-C', store]);
  assert.ok(existsSync(path.join(store, 'LICENSE')));
  const link = path.join(where, 'kubectl-ambient');
  symlinkSync(path.join(store, first!.bin), link);
  const shown = spawnSync(process.execPath, [link, '--help'], { encoding: 'utf8' });
  assert.match(shown.stdout, /^Usage: kubectl ambient /, shown.stderr);
  assert.ok((statSync(path.join(store, first!.bin)).mode & 0o111) !== 0, 'it can be run');
});
