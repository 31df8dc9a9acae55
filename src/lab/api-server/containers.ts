// What the API server needs of whoever runs pods, for `kubectl exec` and `kubectl logs`.
import type { ChildProcess } from 'node:child_process';
import { badRequest } from './failure.ts';
import { isTrue, numberOf } from './request.ts';

/** Which container of which pod. */
export interface ContainerName {
  readonly namespace: string;
  readonly pod: string;
  /** Null for the pod's only one, or its first. */
  readonly container: string | null;
}

export interface LogRequest extends ContainerName {
  readonly follow: boolean;
  /** So many last lines; null for all. */
  readonly tailLines: number | null;
}

export interface ExecRequest extends ContainerName {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Containers that can be looked into. All throw `ApiFailure` for what is not there. */
export interface ContainerAccess {
  /** Whether `exec` would find it. */
  check(name: ContainerName): void;
  /** A program inside a container, with pipes for what it reads and writes. */
  exec(request: ExecRequest): ChildProcess;
  /** Pieces of what a container wrote, until `signal` when following. */
  logs(request: LogRequest, signal: AbortSignal): AsyncIterable<Buffer>;
}

/** Reads the query of `pods/NAME/exec`. Throws 400. */
export function execRequest(namespace: string, pod: string, query: URLSearchParams): ExecRequest {
  const command = query.getAll('command');
  if (command.length === 0) throw badRequest('you must specify at least one command for the container');
  const flag = (name: string): boolean => isTrue(query.get(name));
  const tty = flag('tty');
  const streams = { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr') && !tty };
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  }
  return { namespace, pod, container: query.get('container'), command, tty, ...streams };
}

/** Reads the query of `pods/NAME/log`. Throws 400 for what a lab does not keep. */
export function logRequest(namespace: string, pod: string, query: URLSearchParams): LogRequest {
  const unsupported = ['previous', 'timestamps'].find((name) => isTrue(query.get(name)));
  const since = ['sinceSeconds', 'sinceTime', 'limitBytes'].find((name) => query.has(name));
  const word = unsupported ?? since;
  if (word !== undefined) throw badRequest(`${word} is not supported here: logs are plain files`);
  const tailLines = numberOf(query, 'tailLines') ?? null;
  return { namespace, pod, container: query.get('container'), follow: isTrue(query.get('follow')), tailLines };
}
