// Programs of the mesh in the root file system of their image (`npm run image`), under the rights that a cluster gives
// them: read-only, the capabilities of their securityContext and no way to more.
//
//   unshare (mount) ─▶ sh: mounts below the root ─▶ chroot ─▶ setpriv ─▶ the program, all in one process
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import type { ProgramSecurity } from '../install/program-security.ts';
import { shellQuote } from './run.ts';

/** The image, and who its programs are; a waypoint is what the controller is. */
export interface Rootfs {
  readonly dir: string;
  readonly node: ProgramSecurity;
  readonly controller: ProgramSecurity;
}

/** A folder of the lab that a program sees at the same path. */
export interface Bind {
  readonly folder: string;
  readonly isWritable?: boolean;
}

const devices = ['null', 'zero', 'full', 'random', 'urandom'] as const;

/** Throws USAGE when a lab cannot run from `dir`. */
export function checkRootfs(dir: string): void {
  if (process.getuid?.() !== 0) {
    throw new MeshError('USAGE', {
      reason: '--rootfs needs root: its programs run as users that only root can become',
    });
  }
  if (existsSync(path.join(dir, 'usr/bin/ambient-node'))) return;
  throw new MeshError('USAGE', {
    reason: `${dir} is not the image's root file system; make it with: npm run image -- ${dir}`,
  });
}

/** Shell commands that mount what a container runtime would, with `runMounts` for what lies below `/run`. */
export function rootMounts(dir: string, runMounts: (root: string) => readonly string[]): string[] {
  const root = shellQuote(dir);
  return [
    `mount --bind ${root} ${root}`,
    `mount -t proc proc ${root}/proc`,
    `mount -t sysfs -o ro sysfs ${root}/sys`,
    `mount -t tmpfs -o mode=755 tmpfs ${root}/dev`,
    ...devices.flatMap((name) => [`: > ${root}/dev/${name}`, `mount --bind /dev/${name} ${root}/dev/${name}`]),
    `ln -s /proc/self/fd ${root}/dev/fd`,
    `mount -t tmpfs -o mode=1777 tmpfs ${root}/tmp`,
    ...runMounts(root),
    `mount -o remount,bind,ro ${root}`,
  ];
}

/** Words that come before a program's own: from here on its root is `dir`, and it is who `security` says. */
export function enterRoot(dir: string, { userId, capabilities }: ProgramSecurity): string[] {
  const kept = capabilities.map((name) => `,+${name.toLowerCase()}`).join('');
  const user = userId === 0 ? [] : [`--reuid=${userId}`, `--regid=${userId}`, '--clear-groups'];
  const limits = [`--bounding-set=-all${kept}`, '--inh-caps=-all', '--no-new-privs'];
  return ['chroot', dir, 'setpriv', ...user, ...limits, '--'];
}

/** The whole of it, for a program outside of any pod, which sees these folders of the lab and nothing else of it. */
export function inRootfs(dir: string, security: ProgramSecurity, binds: readonly Bind[]): string[] {
  const steps = rootMounts(dir, (root) => [
    `mount -t tmpfs -o mode=755 tmpfs ${root}/run`,
    ...binds.flatMap(({ folder, isWritable = false }) => {
      const target = `${root}${shellQuote(folder)}`;
      const mounted = [`mkdir -p ${target}`, `mount --bind ${shellQuote(folder)} ${target}`];
      return isWritable ? mounted : [...mounted, `mount -o remount,bind,ro ${target}`];
    }),
  ]);
  const script = `{ ${steps.join(' && ')}; } || exit 125\nexec "$@"`;
  const words = ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', script, 'lab'];
  return [...words, ...enterRoot(dir, security)];
}
