// `ambientctl sysdump`: everything that helps somebody else to understand a mesh, in one archive without secrets.
// Whatever cannot be had is left out and said, in the archive too: a bundle of a broken mesh is the one that is needed.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MeshError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { type Command, type CommandContext, durationOption, flagOption, listOption, textOption } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { type Say, waiting } from './progress.ts';
import { redactText } from './redact.ts';
import { type Group, groups, type Inventory, type Item, inventoryOf } from './sysdump-items.ts';
import { bytesText } from './table.ts';
import { meshOf } from './which-mesh.ts';

const itemTimeoutMs = 40_000;
/** Of one file; of a longer one the end is kept. */
const itemBytesMax = 32 * 1024 * 1024;
const atOnce = 4;

/** A line of the archive's `manifest.json`. */
export interface ItemOutcome {
  readonly path: string;
  readonly bytes: number;
  readonly tookMs: number;
  /** Why it is not there; null when it is. */
  readonly error: string | null;
  /** True when only its end is there. */
  readonly isCut: boolean;
}

/** Makes the archive, prints its path. Exit 1 when something could not be had, which the archive then names. */
export const sysdump: Command = async (context) => {
  const chosen = chosenGroups(context);
  const mesh = await meshOf(context);
  const sinceMs = textOption(context, 'since') === undefined ? null : Date.now() - durationOption(context, 'since', 0);
  const scope = { systemNamespace: textOption(context, 'systemNamespace') ?? 'ambient-system', sinceMs };
  const { io } = context;
  const inventory = await waiting(io, { what: 'the parts of the mesh' }, () => inventoryOf(mesh, scope));
  const wanted: Inventory = {
    items: inventory.items.filter(({ group }) => chosen.has(group)),
    failures: inventory.failures.filter(({ path: where }) => chosen.has(where.split('/')[0] as Group)),
  };
  if (flagOption(context, 'dryRun')) {
    io.stdout.write(wanted.items.map((item) => `${item.path}\n`).join(''));
    io.stderr.write(failureLines(wanted.failures.map(({ path: where, error }) => notHad(where, error))));
    return exitCodes.fine;
  }
  const file = fileOf(context);
  const outcomes = await waiting(io, { what: 'the dump', leaves: 'nothing is kept' }, (say, signal) =>
    makeArchive(file, wanted, mesh.title, say, signal),
  );
  const failed = outcomes.filter(({ error }) => error !== null);
  const size = bytesText(statSync(file).size);
  io.stdout.write(`${file}\n`);
  io.stderr.write(
    `${failureLines(failed)}${outcomes.length - failed.length} files, ${size}, without secrets as far as they ` +
      `can be known: look through it before you pass it on\nnext: tar -xzf ${file}, then read README.txt in it\n`,
  );
  return failed.length > 0 ? exitCodes.failureFound : exitCodes.fine;
};

function failureLines(failed: readonly ItemOutcome[]): string {
  return failed.map(({ path: where, error }) => `not had: ${where}: ${error}\n`).join('');
}

function chosenGroups(context: CommandContext): ReadonlySet<Group> {
  const words = (name: string): readonly Group[] =>
    listOption(context, name)
      .flatMap((text) => text.split(','))
      .map((word) => {
        const group = groups.find((one) => one === word.trim());
        if (group !== undefined) return group;
        throw new MeshError('USAGE', { reason: `--${name} '${word}': there are ${groups.join(', ')}` });
      });
  const included = words('include');
  const excluded = new Set(words('exclude'));
  return new Set((included.length === 0 ? groups : included).filter((group) => !excluded.has(group)));
}

function fileOf(context: CommandContext): string {
  const file = textOption(context, 'outputFile');
  if (file === undefined) {
    const time = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
    return `ambient-sysdump-${time}.tar.gz`;
  }
  if (/\.(tar\.gz|tgz)$/.test(file)) return file;
  throw new MeshError('USAGE', { reason: `-o '${file}': it becomes a .tar.gz; write -o ${file || 'dump'}.tar.gz` });
}

/** Reads everything and packs it; returns what became of each item, by its path. Nothing is left when it is aborted. */
export async function makeArchive(
  file: string,
  { items, failures }: Inventory,
  mesh: string,
  say: Say,
  signal: AbortSignal,
): Promise<readonly ItemOutcome[]> {
  const name = path.basename(file).replace(/\.(tar\.gz|tgz)$/, '');
  // For the owner alone, as long as it is there.
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-sysdump-'));
  const part = `${file}.part`;
  const clean = (): void => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(part, { force: true });
  };
  // The process may be gone before a proxy that hangs has let go of what follows.
  signal.addEventListener('abort', clean);
  try {
    const outcomes: ItemOutcome[] = failures.map(({ path: where, error }) => notHad(where, error));
    const rest = [...items];
    const work = async (): Promise<void> => {
      for (let item = rest.shift(); item !== undefined && !signal.aborted; item = rest.shift()) {
        say(`${items.length - rest.length} of ${items.length}, ${item.path}`);
        outcomes.push(await readInto(path.join(folder, name), item, signal));
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    signal.throwIfAborted();
    outcomes.sort((a, b) => (a.path < b.path ? -1 : 1));
    const about = { version, mesh, time: new Date().toISOString(), items: outcomes };
    keep(path.join(folder, name, 'manifest.json'), `${JSON.stringify(about, null, 2)}\n`);
    keep(path.join(folder, name, 'README.txt'), readme);
    say('packing it');
    await pack(part, folder, name, signal);
    renameSync(part, file);
    return outcomes;
  } finally {
    signal.removeEventListener('abort', clean);
    clean();
  }
}

function notHad(where: string, error: unknown): ItemOutcome {
  // What another program said may hold anything.
  const words = redactText(messageOf(error)).slice(0, 1_000);
  return { path: where, bytes: 0, tookMs: 0, error: words, isCut: false };
}

async function readInto(folder: string, item: Item, signal: AbortSignal): Promise<ItemOutcome> {
  const startedMs = performance.now();
  const late = new MeshError('TIMED_OUT', { what: item.path, timeoutMs: itemTimeoutMs, hint: 'it was left out' });
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), itemTimeoutMs);
  });
  try {
    const whole = Buffer.from(await Promise.race([item.read(), deadline]));
    signal.throwIfAborted();
    const isCut = whole.length > itemBytesMax;
    const kept = isCut ? whole.subarray(whole.length - itemBytesMax) : whole;
    keep(path.join(folder, item.path), kept);
    const tookMs = Math.round(performance.now() - startedMs);
    return { path: item.path, bytes: kept.length, tookMs, error: null, isCut };
  } catch (error) {
    return { ...notHad(item.path, error), tookMs: Math.round(performance.now() - startedMs) };
  } finally {
    clearTimeout(timer);
  }
}

function keep(file: string, text: string | Buffer): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, text, { mode: 0o600 });
}

/**
 * By the system's own tar, which every machine with kubectl has: a format that is simple to write and easy to get
 * wrong.
 */
async function pack(file: string, folder: string, name: string, signal: AbortSignal): Promise<void> {
  const directory = path.dirname(path.resolve(file));
  if (!existsSync(directory)) throw new MeshError('INPUT_UNREADABLE', { place: directory, reason: 'it is not there' });
  // Made here, so that it is the owner's alone from the start.
  writeFileSync(file, '', { mode: 0o600 });
  const child = spawn('tar', ['-czf', path.resolve(file), '-C', folder, name], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = new MeshError('TOOL_MISSING', { tool: 'tar', command: 'apt-get install tar' }, { cause: error });
      reject(error.code === 'ENOENT' ? missing : error);
    });
    child.on('close', resolve);
  });
  if (code !== 0) throw new MeshError('INPUT_UNREADABLE', { place: file, reason: `tar failed: ${words.trim()}` });
}

const readme = `What ambientctl sysdump has found. manifest.json says what is here, and what could not be had and why.

  ambientctl config all -f proxies/node/NODE/config_dump.json
  ambientctl config routes -f proxies/waypoint/NAMESPACE/NAME/POD/config_dump.json
  ambientctl analyze objects/
  ambientctl why -f objects/ NS/POD svc/NAME.NS
  ambientctl tap --input-file flows.jsonl --last 100
  ambientctl stat --input-file flows.jsonl

objects/ is the mesh's configuration as it reads it; system/ is the system namespace and the waypoints, with Events.
Values of variables, Secrets, tokens, keys and passwords were taken out where they could be told: [redacted].
`;
