// The listening sockets that the launcher opened, as descriptors: who gets which, and what is left when a data thread
// dies.
import { closeSync, fstatSync } from 'node:fs';
import { MeshError } from '../base/errors.ts';
import type { DataThreadStart } from '../proxy/messages.ts';

/** Where the launcher puts them; see `native-free/launcher.pl`. */
export const listenersVariable = 'AMBIENT_LISTENERS';
/** How often one data thread can be replaced before its descriptors are used up and the process must be restarted. */
export const spareListenersPerThread = 16;

const roles = ['outbound', 'inbound', 'hbone'] as const;
type Role = (typeof roles)[number];

export interface Listeners {
  readonly threads: number;
  /** The descriptors of a thread's life number `life`, from 0. Throws `LIMIT_REACHED` when its spares are used up. */
  of(thread: number, life: number): DataThreadStart['listeners'];
  /**
   * Closes the descriptors that no thread was given. As long as one is open the kernel goes on to fill its accept
   * queue, so a proxy that drains calls this first. Idempotent.
   */
  closeSpares(): void;
}

/**
 * Reads the launcher's descriptors from `env` and removes the variable, so that no child is told of sockets it does
 * not have. Throws `CAPTURE_FAILED` when the variable is missing or does not describe open sockets.
 */
export function takeListeners(env: NodeJS.ProcessEnv): Listeners {
  const text = env[listenersVariable];
  delete env[listenersVariable];
  if (text === undefined) throw invalid('the listening sockets are missing');
  const rows = parse(text);
  const spares = new Set(rows.flatMap((row) => roles.flatMap((role) => row[role])));
  return {
    threads: rows.length,
    closeSpares() {
      for (const fd of spares) closeSync(fd);
      spares.clear();
    },
    of(thread, life) {
      const row = rows[thread];
      if (row === undefined) throw invalid(`there are no sockets for data thread ${thread}`);
      const take = (role: Role): number[] => {
        const fd = row[role][life];
        if (fd !== undefined) {
          spares.delete(fd);
          return [fd];
        }
        throw new MeshError('LIMIT_REACHED', {
          limit: 'spareListenersPerThread',
          value: row[role].length - 1,
          what: `data thread ${thread}, which died ${life} times`,
        });
      };
      return { outbound: take('outbound'), inbound: take('inbound'), hbone: take('hbone') };
    },
  };
}

/**
 * The number of data threads, where the launcher was to open no sockets: those of pods are opened later. Removes the
 * variable from `env`. Throws `CAPTURE_FAILED` when it is missing.
 */
export function takeThreads(env: NodeJS.ProcessEnv): { readonly threads: number; readonly addresses: undefined } {
  const text = env[listenersVariable];
  delete env[listenersVariable];
  if (text === undefined) throw invalid('the launcher was left out');
  return { threads: rowsOf(text).length, addresses: undefined };
}

function parse(text: string): Record<Role, number[]>[] {
  return rowsOf(text).map((row: unknown) => {
    const take = (role: Role): number[] => {
      const list: unknown = row instanceof Object ? (row as Record<string, unknown>)[role] : null;
      if (!Array.isArray(list) || list.length === 0 || !list.every(isSocket)) {
        throw invalid(`${listenersVariable} has no open sockets for ${role}`);
      }
      return list;
    };
    return { outbound: take('outbound'), inbound: take('inbound'), hbone: take('hbone') };
  });
}

function rowsOf(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(`${listenersVariable} is no JSON`);
  }
  const threads = value instanceof Object && 'threads' in value ? value.threads : null;
  if (!Array.isArray(threads) || threads.length === 0) throw invalid(`${listenersVariable} names no threads`);
  return threads;
}

function isSocket(fd: unknown): fd is number {
  if (!Number.isInteger(fd)) return false;
  try {
    return fstatSync(fd as number).isSocket();
  } catch {
    return false;
  }
}

function invalid(reason: string): MeshError {
  return new MeshError('CAPTURE_FAILED', { reason, hint: 'start the proxy with: ambient-node run --config FILE' });
}
