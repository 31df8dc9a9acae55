// The version of this build, as `package.json` says it.
import { readFileSync } from 'node:fs';
import { projectFile } from './project-files.ts';

/** `MAJOR.MINOR.PATCH`. */
export const version: string = readVersion();

function readVersion(): string {
  const text = readFileSync(projectFile('package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
