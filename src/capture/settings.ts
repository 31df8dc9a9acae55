// Settings of the kernel that capture changes in its network namespace, and gives back when it is removed. What they
// were is noted in the table itself (`ruleset.ts`).
import { readFile, writeFile } from 'node:fs/promises';
import type { KernelSettings } from './ruleset.ts';

/**
 * `tcp_migrate_req` lets connections that wait in the accept queue of a closed listener move to another one of the
 * port, so that replacing the proxy loses none. Nothing else depends on it.
 */
const wanted = { tcp_migrate_req: '1' } as const;
type Setting = keyof typeof wanted;

const fileOf = (name: Setting): string => `/proc/sys/net/ipv4/${name}`;

/** Those that differ from what is wanted, with their values; one that cannot be read does not count. */
export async function settingsToChange(): Promise<KernelSettings> {
  const found: Record<string, string> = {};
  for (const name of Object.keys(wanted) as Setting[]) {
    const value = await settingNow(name);
    if (value !== null && /^\d+$/.test(value) && value !== wanted[name]) found[name] = value;
  }
  return found;
}

/** Changes all; what the kernel does not allow (a container without the right to) stays as it is. */
export async function changeSettings(): Promise<void> {
  for (const name of Object.keys(wanted) as Setting[]) {
    if ((await settingNow(name)) !== wanted[name]) await write(name, wanted[name]);
  }
}

/** Gives back what was changed, unless somebody has changed it since. */
export async function restoreSettings(before: KernelSettings): Promise<void> {
  for (const name of Object.keys(wanted) as Setting[]) {
    const value = before[name];
    if (value !== undefined && (await settingNow(name)) === wanted[name]) await write(name, value);
  }
}

async function settingNow(name: Setting): Promise<string | null> {
  try {
    return (await readFile(fileOf(name), 'utf8')).trim();
  } catch {
    return null;
  }
}

async function write(name: Setting, value: string): Promise<void> {
  try {
    await writeFile(fileOf(name), value);
  } catch {
    // Not ours to change.
  }
}
