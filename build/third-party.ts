// The packages that a bundle has taken in: name, version, licence and its text, as each package itself says.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../src/base/errors.ts';
import { projectFile } from '../src/base/project-files.ts';

export interface ThirdParty {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  /** What its files of licence and notice say. */
  readonly text: string;
}

interface PackageFile {
  readonly name?: string;
  readonly version?: string;
  readonly license?: unknown;
}

const legalFile = /^(licen[cs]e|copying|notice)([.-].*)?$/i;
/** Longer than any notice at the head of a file. */
const headBytes = 8_192;

/** The packages of these inputs (paths from the root), by name. Throws INTERNAL for one without licence or its text. */
export function thirdParties(inputs: readonly string[]): ThirdParty[] {
  const byFolder = Map.groupBy(inputs, (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? '');
  byFolder.delete('');
  return [...byFolder].map(([folder, files]) => thirdParty(folder, files)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The package in `folder`, of which `files` are used (paths from the root). Throws INTERNAL as above. */
export function thirdParty(folder: string, files: readonly string[]): ThirdParty {
  const dir = projectFile(folder);
  const { name, version, license } = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as PackageFile;
  const text = legalText(dir) || headNotices(files);
  if (name === undefined || version === undefined || typeof license !== 'string' || text === '') {
    throw new MeshError('INTERNAL', { reason: `${folder} names no licence, or has no text of it` });
  }
  return { name, version, licence: license, text };
}

function legalText(dir: string): string {
  const files = readdirSync(dir, { withFileTypes: true }).filter((file) => file.isFile() && legalFile.test(file.name));
  const names = files.map((file) => file.name).sort();
  return names.map((file) => readFileSync(path.join(dir, file), 'utf8').trim()).join('\n\n');
}

/** Some packages have their licence at the head of each file, and no file of its own. */
function headNotices(files: readonly string[]): string {
  const heads = files.map((file) => {
    const lines = readFileSync(projectFile(file), 'utf8').slice(0, headBytes).split('\n');
    const end = lines.findIndex((line) => !line.startsWith('//'));
    return lines
      .slice(0, end)
      .map((line) => line.replace(/^\/\/ ?/, ''))
      .join('\n')
      .trim();
  });
  return [...new Set(heads)]
    .filter((head) => /copyright/i.test(head))
    .sort()
    .join('\n\n');
}

/** All licences as one text. */
export function licencesText(packages: readonly ThirdParty[]): string {
  const line = '-'.repeat(100);
  const head = 'Ambient contains code of these packages, under the licences below.\n';
  const list = packages.map(({ name, version, licence }) => `  ${name} ${version} (${licence})`).join('\n');
  const texts = packages.map(({ name, version, text }) => `${line}\n${name} ${version}\n${line}\n\n${text}\n`);
  return `${head}\n${list}\n\n${texts.join('\n')}`;
}
