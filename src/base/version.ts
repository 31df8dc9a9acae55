// The version of this build, as `package.json` says it.
import { readFileSync } from 'node:fs';

/** `MAJOR.MINOR.PATCH`. */
export const version: string = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
