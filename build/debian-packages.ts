// The Debian packages of the image: which are asked for, and what is known of those that came.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../src/base/errors.ts';
import { projectFile } from '../src/base/project-files.ts';
import type { Component } from './sbom.ts';

export interface PackageList {
  readonly wanted: readonly string[];
  /** Names of packages that are taken out again. */
  readonly dropped: readonly string[];
}

const listFile = 'deploy/image/packages.txt';
/** Where scanners look for packages that were not installed by dpkg. */
export const recordsDir = 'var/lib/dpkg/status.d';

/** The one list, see its own head. Throws CONFIG_INVALID for a line without a reason. */
export function readPackageList(text = readFileSync(projectFile(listFile), 'utf8')): PackageList {
  const wanted: string[] = [];
  const dropped: string[] = [];
  text.split('\n').forEach((line, at) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const [, minus, name = ''] = /^(-?)([a-z0-9][a-z0-9.+-]+)\s+\S/.exec(line) ?? [];
    if (name === '') {
      throw new MeshError('CONFIG_INVALID', { place: `${listFile}:${at + 1}:1`, reason: 'must be NAME and why' });
    }
    (minus === '-' ? dropped : wanted).push(name);
  });
  return { wanted, dropped };
}

/** What the records under `root` say, by name. */
export function packagesIn(root: string): Component[] {
  const { ID = 'debian', VERSION_ID = '' } = osRelease(root);
  return readdirSync(path.join(root, recordsDir)).map((name) => {
    const fields = fieldsOf(readFileSync(path.join(root, recordsDir, name), 'utf8'));
    const version = fields.get('Version') ?? '';
    const query = `arch=${fields.get('Architecture') ?? ''}&distro=${ID}-${VERSION_ID}`;
    const purl = `pkg:deb/${ID}/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${query}`;
    return { name, version, licenceNames: licencesOf(root, name), purl };
  });
}

function osRelease(root: string): Readonly<Record<string, string>> {
  const lines = readFileSync(path.join(root, 'usr/lib/os-release'), 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  return Object.fromEntries([...lines].map(([, key = '', value = '']) => [key, value]));
}

function fieldsOf(record: string): ReadonlyMap<string, string> {
  return new Map([...record.matchAll(/^([\w-]+): (.*)$/gm)].map(([, key = '', value = '']) => [key, value]));
}

/** By the names that Debian's copyright files have for them, of which many are SPDX's too. */
function licencesOf(root: string, name: string): string[] {
  const file = path.join(root, 'usr/share/doc', name, 'copyright');
  if (!existsSync(file))
    throw new MeshError('INTERNAL', { reason: `the Debian package ${name} has no copyright file` });
  const names = [...readFileSync(file, 'utf8').matchAll(/^License: *(\S.*)$/gm)].map(([, licence = '']) => licence);
  return names.length === 0 ? [`see /usr/share/doc/${name}/copyright`] : [...new Set(names)].sort();
}
