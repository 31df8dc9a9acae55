// Finds running labs and their processes from outside, through /proc alone: a lab keeps no file on the host.
//
// A lab is a process `node …/src/lab/main.ts NAME OPTIONS` that is the first one of its own pid namespace.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { MeshError } from '../base/errors.ts';
import type { LabSummary } from './control-types.ts';

/** Where the lab's private file system has everything, seen from inside the lab. */
export const labDir = '/run/ambient';
export const controlSocket = `${labDir}/control.sock`;
/** For people, with an administrator's token; the lab's owner and root alone can read it. */
export const kubeconfigFile = `${labDir}/kubeconfig`;
/** Of the sources, or of a bundle. */
const labMain = /\/src\/lab\/main\.[jt]s$/;
export const defaultLabName = 'lab';

interface ProcessIds {
  /** Id of the parent, as the reader of /proc sees it. */
  readonly parent: number;
  /** Id of the process in each pid namespace, from the reader's inwards. */
  readonly ids: readonly number[];
}

/** The ids of process `pid`, or null when it has gone. */
export function processIds(pid: number | string): ProcessIds | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    const ids = (/^NSpid:\s+(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).map(Number);
    return { parent, ids };
  } catch {
    return null;
  }
}

/** Labs of this user, or of every user when root asks; oldest first. */
export function listLabs(): LabSummary[] {
  const uid = process.getuid?.() ?? 0;
  const found: (LabSummary & { startedMs: number })[] = [];
  // Other systems than Linux have no labs, and no such folder.
  for (const entry of existsSync('/proc') ? readdirSync('/proc') : []) {
    if (!/^\d+$/.test(entry)) continue;
    const lab = labOf(Number(entry), uid);
    if (lab !== null) found.push(lab);
  }
  found.sort((a, b) => a.startedMs - b.startedMs);
  return found.map(({ name, hostPid, startedAt }) => ({ name, hostPid, startedAt }));
}

function labOf(pid: number, uid: number): (LabSummary & { startedMs: number }) | null {
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const main = argv.findIndex((word) => labMain.test(word));
    const name = argv[main + 1];
    if (main < 1 || name === undefined) return null;
    // `unshare`, the lab's parent, has the same words in its command line; only the lab itself is the first of a
    // namespace.
    const ids = processIds(pid)?.ids ?? [];
    if (ids.length < 2 || ids.at(-1) !== 1) return null;
    const stat = statSync(`/proc/${pid}`);
    if (uid !== 0 && stat.uid !== uid) return null;
    return { name, hostPid: pid, startedMs: stat.ctimeMs, startedAt: new Date(stat.ctimeMs).toISOString() };
  } catch {
    return null;
  }
}

/**
 * The lab called `name`, or the only one that runs when no name is given. Throws `NOT_FOUND` with what to type.
 */
export function findRunningLab(name?: string): LabSummary {
  const labs = listLabs();
  if (name !== undefined) {
    const lab = labs.find((each) => each.name === name);
    if (lab !== undefined) return lab;
    const others = labs.length === 0 ? '' : `running: ${labs.map((each) => each.name).join(', ')}; `;
    throw new MeshError('NOT_FOUND', {
      what: `a running lab called '${name}'`,
      hint: `${others}start it with: ambientctl lab up ${name} -f PATH`,
    });
  }
  const [first, ...more] = labs;
  if (first === undefined) {
    throw new MeshError('NOT_FOUND', { what: 'a running lab', hint: 'start one with: ambientctl lab up -f PATH' });
  }
  if (more.length > 0) {
    const names = labs.map((each) => each.name).join(', ');
    throw new MeshError('USAGE', { reason: `several labs run; say which with --lab NAME or AMBIENT_LAB: ${names}` });
  }
  return first;
}

/**
 * The id on the host of the process that the lab itself knows as `labPid`. Throws `NOT_FOUND` when it has gone.
 */
export function hostPidOf(lab: LabSummary, labPid: number): number {
  const depth = processIds(lab.hostPid)?.ids.length ?? 0;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const ids = processIds(entry)?.ids;
    if (ids === undefined || ids[depth - 1] !== labPid) continue;
    if (descendsFrom(Number(entry), lab.hostPid)) return Number(entry);
  }
  throw new MeshError('NOT_FOUND', {
    what: `process ${labPid} of lab ${lab.name}`,
    hint: 'it may have just ended; try again',
  });
}

function descendsFrom(pid: number, ancestor: number): boolean {
  const generationsMax = 64;
  for (let at = pid, generation = 0; at > 1 && generation < generationsMax; generation++) {
    if (at === ancestor) return true;
    at = processIds(at)?.parent ?? 0;
  }
  return pid === ancestor;
}
