// The package that is published, and that an image contains: the bundle, the files that it finds by name, starters, a
// package.json of its own, licences and the list of content.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { projectFile } from '../src/base/project-files.ts';
import { type Bundle, bundle } from './bundle.ts';
import { type Component, npmUrl, sbomText } from './sbom.ts';
import { licencesText, type ThirdParty, thirdParties } from './third-party.ts';
import type { Tree, TreeFile } from './tree.ts';

export interface BuiltPackage {
  readonly tree: Tree;
  /** Source maps, by the same paths: laid over the package, they lead stack traces to the sources. */
  readonly maps: Tree;
  readonly main: Component;
  /** What of others is in it. */
  readonly components: readonly Component[];
}

interface ProjectFile {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: object;
  readonly bin: Readonly<Record<string, string>>;
}

export const licencesFile = 'THIRD-PARTY-LICENCES.txt';
export const sbomFile = 'sbom.cdx.json';

/** Builds the package in memory; the same bytes for the same sources. */
export async function buildPackage(): Promise<BuiltPackage> {
  const project = JSON.parse(readFileSync(projectFile('package.json'), 'utf8')) as ProjectFile;
  const { name, version, license } = project;
  const bundled = await bundle();
  const parties = thirdParties(bundled.inputs);
  const main: Component = { name, version, licence: license, purl: npmUrl(name, version), type: 'application' };
  const components = parties.map(componentOf);
  const tree = new Map<string, TreeFile>(codeOf(bundled));
  for (const asset of ['LICENSE', 'README.md', 'native-free/runtime.mjs', ...bundled.assets]) {
    for (const file of filesAt(asset)) tree.set(file, kept(file));
  }
  for (const starter of Object.values(project.bin)) tree.set(starter, starterOf(starter));
  tree.set(licencesFile, { bytes: licencesText(parties) });
  tree.set(sbomFile, { bytes: sbomText(main, components) });
  tree.set('package.json', { bytes: packageJson(project, [...tree.keys()]) });
  const maps = [...bundled.files].filter(([file]) => file.endsWith('.map'));
  return { tree, maps: new Map(maps.map(([file, bytes]) => [file, { bytes }])), main, components };
}

function componentOf({ name, version, licence }: ThirdParty): Component {
  return { name, version, licence, purl: npmUrl(name, version) };
}

function codeOf({ files }: Bundle): [string, TreeFile][] {
  return [...files].filter(([file]) => !file.endsWith('.map')).map(([file, bytes]) => [file, { bytes }]);
}

/** The file, or every file of the folder, by path from the root. */
function filesAt(asset: string): string[] {
  if (statSync(projectFile(asset)).isFile()) return [asset];
  return readdirSync(projectFile(asset)).flatMap((name) => filesAt(path.posix.join(asset, name)));
}

function kept(file: string): TreeFile {
  return { bytes: readFileSync(projectFile(file)), isProgram: file.endsWith('.pl') };
}

/** The starter of the sources, told to start JavaScript. */
function starterOf(file: string): TreeFile {
  return { bytes: readFileSync(projectFile(file), 'utf8').replace(/\.ts\b/g, '.js'), isProgram: true };
}

/** Without dependencies, since they are in the bundle; `files` names all there is, so that nothing else slips in. */
function packageJson(project: ProjectFile, files: readonly string[]): string {
  const { name, version, description, license, engines, bin } = project;
  const tops = [...new Set(files.map((file) => file.split('/')[0] as string))].sort();
  const all = { name, version, description, license, type: 'module', engines, bin, files: tops };
  return `${JSON.stringify(all, null, 2)}\n`;
}
