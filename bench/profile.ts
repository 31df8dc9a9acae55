// `npm run bench -- l4 --profile`: where the CPU time of our own pair goes, by `perf`, which sees the kernel, OpenSSL,
// V8 and JavaScript alike (V8 writes what it compiles to a map that perf reads: `--perf-basic-prof`).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { MeshError } from '../src/base/errors.ts';
import { command } from './processes.ts';
import { renderTable } from './report.ts';

/** What Node must be started with. */
export const profileFlags = ['--perf-basic-prof'];
const samplesPerS = 499;

/** Samples by group. */
export type Profile = ReadonlyMap<string, number>;

/** Samples the processes `pids` while `load` runs. Throws NOT_REACHABLE when perf cannot. */
export async function profileOf(dir: string, pids: readonly number[], load: () => Promise<unknown>): Promise<Profile> {
  const file = path.join(dir, 'perf.data');
  const words = ['record', '-q', '-F', String(samplesPerS), '-p', pids.join(','), '-o', file];
  const perf = spawn('perf', words, { stdio: 'ignore' });
  const ended = once(perf, 'exit').catch((error: unknown) => error);
  await load();
  perf.kill('SIGINT');
  const failure = await ended;
  if (failure instanceof Error) {
    const hint = 'install it (linux-perf on Debian), and see kernel.perf_event_paranoid';
    throw new MeshError('NOT_REACHABLE', { what: 'perf', reason: failure.message, hint });
  }
  const fields = [
    'report',
    '-i',
    file,
    '--stdio',
    '--no-children',
    '-t',
    '\t',
    '-F',
    'sample,dso,sym',
    '--percent-limit',
    '0',
  ];
  return groupSamples(command('perf', fields));
}

/** Reads what `perf report` printed: samples, file and symbol of each line. */
export function groupSamples(report: string): Profile {
  const groups = new Map<string, number>();
  for (const line of report.split('\n')) {
    const [samples = '', file = '', symbol = ''] = line.split('\t').map((field) => field.trim());
    if (!/^\d+$/.test(samples)) continue;
    const group = groupOf(file, symbol.replace(/^\[.\] /, ''));
    groups.set(group, (groups.get(group) ?? 0) + Number(samples));
  }
  return groups;
}

/** How names of OpenSSL's functions begin. */
const openSslNames = [
  ...['aes', 'gcm', 'sha', 'keccak', 'hmac', 'hkdf', 'rand_', 'drbg', 'ecp', 'ecdsa', 'ec_', 'x25519', 'fe5', 'ml_kem'],
  ...['scalar', 'bn_', 'rsaz', 'mul_mont', 'evp_', 'inner_evp', 'ssl_', 'tls', 'statem', 'wpacket', 'packet', 'bio_'],
  ...['openssl_', 'crypto_', 'ossl_', 'prov', 'asn1', 'x509', 'd2i', 'i2d', 'pem', 'err_', 'hash_'],
];
const openSsl = new RegExp(`^_?(${openSslNames.join('|')})`, 'i');
const groups: readonly (readonly [group: string, file: RegExp, symbol: RegExp])[] = [
  ['kernel', /kernel|vdso/, /./],
  ['TLS (OpenSSL)', /libcrypto|libssl/, /./],
  ['JS', /^perf-\d+\.map|JIT/, /./],
  ['C library', /^(libc|libm|libstdc|ld-)/, /./],
  ['TLS (OpenSSL)', /./, openSsl],
  ['TLS (Node)', /./, /node::crypto|ncrypto|TLSWrap|NodeBIO/],
  [
    'V8: garbage collection',
    /./,
    /Scaveng|MarkCompact|Marking|Sweep|Evacuat|v8::internal::Heap::|GarbageCollect|cppgc/,
  ],
  ['V8: compiling', /./, /v8::internal::(compiler|maglev|interpreter|baseline|Compiler|Parser|Scanner|turboshaft)/],
  ['V8: built-ins and runtime', /./, /^(Builtins_|v8::|non-virtual thunk to v8)/],
  ['Node and libuv', /./, /node::|^uv_/],
];

/** Which part of the process the symbol belongs to. JavaScript goes by its folder. */
export function groupOf(file: string, symbol: string): string {
  const group = groups.find(([, files, symbols]) => files.test(file) && symbols.test(symbol))?.[0] ?? 'other';
  if (group !== 'JS') return group;
  const folder = /\/src\/([a-z0-9]+)\//.exec(symbol)?.[1];
  if (folder !== undefined) return `JS: src/${folder}`;
  return symbol.includes('node:') ? 'JS: node:' : 'V8: built-ins and runtime';
}

/** One line per group, a column per profile: its part of all samples. */
export function renderProfiles(profiles: ReadonlyMap<string, Profile>): string {
  const all = [...profiles.values()];
  const totals = all.map((profile) => [...profile.values()].reduce((sum, samples) => sum + samples, 0));
  const share = (group: string, at: number): number => ((all[at]?.get(group) ?? 0) * 100) / (totals[at] || 1);
  const most = (group: string): number => Math.max(...all.map((_, at) => share(group, at)));
  const names = [...new Set(all.flatMap((profile) => [...profile.keys()]))].sort((a, b) => most(b) - most(a));
  const rows = names.map((group) => [group, ...all.map((_, at) => share(group, at).toFixed(1))]);
  const counted = ['samples', ...totals.map(String)];
  return renderTable([['part of CPU time, %', ...profiles.keys()], ...rows, counted]);
}
