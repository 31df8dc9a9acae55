// `ambientctl lab up | down | list | status`: the life of a lab.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { type PodNetworkKind, podNetworkKinds } from '../lab/addresses.ts';
import { type LabClient, listLabs } from '../lab/control-client.ts';
import type { LabPod, LabProgress, LabStatus } from '../lab/control-types.ts';
import { launchLab } from '../lab/launch.ts';
import type { Rootfs } from '../lab/rootfs.ts';
import {
  type Command,
  type CommandResult,
  durationOption,
  flagOption,
  listOption,
  namesText,
  textOption,
} from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { type CliIo, coloured, plain } from './io.ts';
import { ageText, type TableView, table } from './table.ts';
import { labOf } from './which-mesh.ts';

/** Starts a lab; Ctrl-C while it starts ends it again. */
export const labUp: Command = async ({ io, ...context }) => {
  const full = { io, ...context };
  const { paths, lastName } = manifestsOf(listOption(full, 'file'));
  const name = context.args[0] ?? lastName ?? textOption(full, 'lab') ?? (io.env.AMBIENT_LAB || 'lab');
  const nodes = textOption(full, 'nodes');
  const capture = textOption(full, 'capture');
  const podNetwork = textOption(full, 'podNetwork');
  const rootfs = textOption(full, 'rootfs');
  const wantsApi = flagOption(full, 'apiServer') || textOption(full, 'writeKubeconfig') !== undefined;
  const interruption = io.interruption();
  try {
    const lab = await launchLab({
      name,
      paths,
      ...(nodes === undefined ? {} : { nodes: Number(nodes) }),
      ...(podNetwork === undefined ? {} : { podNetwork: podNetworkNamed(podNetwork) }),
      images: imageOptions(listOption(full, 'image')),
      timeoutMs: durationOption(full, 'timeout', 60_000),
      apiServer: wantsApi,
      ...(capture === undefined ? {} : { nodeConfig: { capture: { backend: capture } } }),
      ...(rootfs === undefined ? {} : { rootfs: await imageAt(rootfs) }),
      onProgress: (progress) => sayProgress(io, progress),
      signal: interruption,
    });
    const status = await lab.status();
    const kubeconfig = wantsApi ? keptKubeconfig(lab, textOption(full, 'writeKubeconfig')) : null;
    io.stderr.write(`next: ambientctl lab status, ambientctl edges -w, ambientctl lab down ${name}\n`);
    const api = kubeconfig === null ? {} : { kubeconfig };
    const way = kubeconfig === null ? '' : `kubectl --kubeconfig ${kubeconfig} get pods -A\n`;
    const ready = `lab ${name} is ready: ${status.nodes.length} nodes, ${podCount(status)} pods, every proxy in step\n`;
    return { data: { ...status, ...api }, text: () => ready + way };
  } catch (error) {
    if (interruption.aborted) {
      io.stderr.write(`interrupted while waiting for lab ${name}; nothing of it is left\n`);
      throw new DOMException('interrupted', 'AbortError');
    }
    // Not ready in time is this command's answer, and no failure to get one.
    if (!isMeshError(error) || error.code !== 'TIMED_OUT') throw error;
    io.stderr.write(`${io.stderrColour ? coloured('ambientctl:', 'bad') : 'ambientctl:'} ${error.message}\n`);
    return exitCodes.failureFound;
  }
};

function podNetworkNamed(text: string): PodNetworkKind {
  const kind = podNetworkKinds.find((each) => each === text);
  if (kind !== undefined) return kind;
  throw new MeshError('USAGE', { reason: `--pod-network is one of ${podNetworkKinds.join(', ')}, not '${text}'` });
}

/** The programs' rights are those of an installation. */
async function imageAt(dir: string): Promise<Rootfs> {
  const { programSecurity } = await import('../install/program-security.ts');
  const { readValues } = await import('../install/values.ts');
  return { dir: path.resolve(dir), ...programSecurity(await readValues({})) };
}

/** The path of the lab's kubeconfig: its own, or a copy for the owner alone at the place that was asked for. */
function keptKubeconfig(lab: LabClient, file: string | undefined): string {
  const own = lab.kubeconfig();
  if (file === undefined) return own;
  try {
    // Made anew, so that nobody who could read an old file reads this one.
    rmSync(file, { force: true });
    writeFileSync(file, readFileSync(own), { mode: 0o600, flag: 'wx' });
    return file;
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
}

/** The path of a running lab's kubeconfig, and nothing else. */
export const labKubeconfig: Command = async (context) => {
  const kubeconfig = keptKubeconfig(labOf(context, context.args[0]), textOption(context, 'write'));
  return { data: { kubeconfig }, text: () => `${kubeconfig}\n` };
};

/** `-f` takes every word after it, also a name that was meant for the lab: the last word, if there is no such file. */
function manifestsOf(words: readonly string[]): { paths: readonly string[]; lastName?: string } {
  if (words.length === 0) {
    throw new MeshError('USAGE', { reason: 'say which manifests: ambientctl lab up -f deploy/samples/shop' });
  }
  if (words.includes('-')) {
    throw new MeshError('USAGE', { reason: 'a lab watches its manifests: give files or folders, not standard input' });
  }
  const last = words.at(-1) ?? '';
  if (words.length === 1 || /[./]/.test(last) || existsSync(last)) return { paths: words };
  return { paths: words.slice(0, -1), lastName: last };
}

/** Pods of the manifests: those of the mesh itself do not count. */
function podCount(status: LabStatus): number {
  return status.pods.filter((pod) => pod.namespace !== 'ambient-system').length;
}

/** One line of a lab's start on stderr. */
export function sayProgress(io: CliIo, progress: LabProgress): void {
  if (progress.type === 'failed') return; // becomes the error of the command
  const paint = io.stderrColour ? coloured : plain;
  const mark = progress.type === 'warning' ? paint('warning:', 'warn') : paint('-', 'dim');
  io.stderr.write(`${mark} ${progress.message}\n`);
}

function imageOptions(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new MeshError('USAGE', { reason: `--image '${pair}' is not IMAGE=COMMAND` });
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** Ends a lab and everything in it. */
export const labDown: Command = async (context) => {
  const lab = labOf(context, context.args[0]);
  await lab.down();
  return {
    data: { name: lab.lab.name, ended: true },
    text: () => `lab ${lab.lab.name} has ended; nothing of it is left\n`,
  };
};

/** Running labs. */
export const labList: Command = async () => {
  const labs = listLabs();
  const nowMs = Date.now();
  return {
    data: { labs },
    also: { name: () => namesText(labs.map(({ name }) => name)) },
    text: (view) =>
      table(
        [
          { header: 'NAME', value: (row: (typeof labs)[number]) => row.name },
          { header: 'AGE', value: (row) => ageText(row.startedAt, nowMs), right: true },
          { header: 'PID', value: (row) => row.hostPid },
        ],
        labs,
        view,
        'no lab is running; start one with: ambientctl lab up -f PATH',
      ),
  };
};

/** Nodes and pods of a lab. Exit 1 while something is not ready. */
export const labStatus: Command = async (context) => {
  const lab: LabClient = labOf(context, context.args[0]);
  return labStatusResult(await lab.status());
};

/** The result for a status that is at hand. */
export function labStatusResult(status: LabStatus): CommandResult {
  return {
    data: status,
    text: (view) => statusText(status, view),
    exitCode: status.ready ? exitCodes.fine : exitCodes.failureFound,
  };
}

function statusText(status: LabStatus, view: TableView): string {
  const nodes = table(
    [
      { header: 'NODE', value: (row: LabStatus['nodes'][number]) => row.name },
      {
        header: 'PROXY',
        value: (row) => (row.proxyReady ? 'ready' : 'not ready'),
        tone: (row) => (row.proxyReady ? 'good' : 'bad'),
      },
      { header: 'ADDRESS', value: (row) => (view.wide ? row.addresses.join(',') : row.addresses[0]) },
      { header: 'POD_CIDR', value: (row) => (view.wide ? row.podCidrs.join(',') : row.podCidrs[0]) },
    ],
    status.nodes,
    view,
    'no node',
  );
  const pods = podTable(status.pods, view);
  const pending = status.pending.map((line) => `${view.paint('waiting:', 'warn')} ${line}\n`).join('');
  const faults = status.faults.map((line) => `${view.paint('fault:', 'warn')} ${line}\n`).join('');
  const notes = faults + pending;
  return [nodes, pods, ...(notes === '' ? [] : [notes])].join('\n');
}

/** NAMESPACE, POD, READY, STATUS, RESTARTS, NODE, MESH. */
export function podTable(pods: readonly LabPod[], view: TableView): string {
  return table(
    [
      { header: 'NAMESPACE', value: (row) => row.namespace },
      { header: 'POD', value: (row) => row.name },
      { header: 'READY', value: (row) => (row.ready ? 'yes' : 'no'), tone: (row) => (row.ready ? 'good' : 'bad') },
      { header: 'STATUS', value: (row) => (row.reason === null ? row.phase : `${row.phase}: ${row.reason}`) },
      { header: 'RESTARTS', value: (row) => row.restarts },
      { header: 'NODE', value: (row) => row.node },
      { header: 'MESH', value: (row) => (row.enrolled ? 'in' : 'outside') },
      { header: 'ADDRESS', value: (row) => (view.wide ? row.addresses.join(',') : row.addresses[0]) },
      { header: 'SERVICE_ACCOUNT', wide: true, value: (row) => row.serviceAccount },
      {
        header: 'OWNER',
        wide: true,
        value: (row) => (row.owner === null ? null : `${row.owner.kind}/${row.owner.name}`),
      },
    ],
    pods,
    view,
    'no pod',
  );
}
