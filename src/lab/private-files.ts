// The lab's own files, inside its private mount namespace: a tmpfs on /run, and an /etc that pods' files can be put
// into.
//
// Runs in the lab's first process before anything else. Nothing of it is seen outside, and the kernel forgets it with
// the lab.
import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './run.ts';
import { labDir } from './running.ts';

export const paths = {
  objects: path.join(labDir, 'objects'),
  logs: path.join(labDir, 'logs'),
  pods: path.join(labDir, 'pods'),
  system: path.join(labDir, 'system'),
} as const;

/** What the lab itself has to say. */
export const labLog = path.join(paths.logs, 'lab.log');

/** Files of /etc that every pod has its own of. */
const perPod = ['resolv.conf', 'hosts', 'hostname'];

/** Mounts the tmpfs, makes the folders, and gives the lab an /etc of its own whose entries lead to the host's. */
export async function makePrivateFiles(): Promise<void> {
  await run(['mount', '-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', '/run']);
  mkdirSync('/run/lock', { recursive: true });
  mkdirSync('/run/netns', { recursive: true });
  mkdirSync(labDir, { mode: 0o700 });
  for (const folder of Object.values(paths)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  await ownEtc();
}

/**
 * A pod's files are bound over /etc/resolv.conf and the like, which need not be there on the host, or may be links
 * that lead astray.
 * So /etc becomes a folder of links into the host's, in which these files are plain and new ones can be made.
 */
async function ownEtc(): Promise<void> {
  const etc = path.join(labDir, 'etc');
  const host = path.join(etc, '.host');
  mkdirSync(host, { recursive: true });
  for (const name of readdirSync('/etc')) {
    if (perPod.includes(name)) continue;
    const isLink = lstatSync(path.join('/etc', name)).isSymbolicLink();
    symlinkSync(isLink ? readlinkSync(path.join('/etc', name)) : `.host/${name}`, path.join(etc, name));
  }
  for (const name of perPod) writeFileSync(path.join(etc, name), '');
  await run(['mount', '--rbind', '/etc', host]);
  await run(['mount', '--rbind', etc, '/etc']);
}
