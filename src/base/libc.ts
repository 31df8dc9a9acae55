// The C library's functions that Node has no way to call, through `node:ffi` (Node 26.1 or newer, still experimental).
// Where they cannot be had, callers do without.

type Signatures = Parameters<typeof import('node:ffi').dlopen>[1];

/** Linux on these; numbers of flags and options may differ elsewhere. */
const architectures: readonly string[] = ['x64', 'arm64'];

export interface Libc<Names extends string> {
  readonly functions: Readonly<Record<Names, (...values: (number | bigint)[]) => number>>;
  readonly ffi: typeof import('node:ffi');
}

/** The functions of `signatures`, or null when this Node or this system does not have them. */
export function bindLibc<Names extends string>(
  signatures: Readonly<Record<Names, NonNullable<Signatures>[string]>>,
): Libc<Names> | null {
  if (process.platform !== 'linux' || !architectures.includes(process.arch)) return null;
  try {
    const ffi = quietly(() => process.getBuiltinModule('node:ffi'));
    if (ffi === undefined) return null;
    const { functions } = ffi.dlopen(null, signatures);
    return { functions: functions as unknown as Libc<Names>['functions'], ffi };
  } catch {
    return null;
  }
}

/** Without Node's warning that the module is experimental: every user has a way without. */
function quietly<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}
