// The test's side of `intruder-client.ts`: runs it in a pod, on a node or on the fabric of a lab.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { LabTarget } from '../../src/lab/control-types.ts';
import { enterCommand } from '../../src/lab/enter.ts';
import type { TestLab } from './harness.ts';

/** One TLS connection to `host`:15008, and a CONNECT for each request on it. */
export interface ConnectAttempt {
  readonly op: 'tunnel';
  readonly host: string;
  readonly key: string;
  readonly cert: string;
  readonly requests: readonly { readonly authority: string; readonly forwarded?: string }[];
}

/** Requests for certificates at the controller. */
export interface TokenAttempt {
  readonly op: 'certificates';
  readonly url: string;
  readonly rootsFile: string;
  readonly clusterId: string;
  readonly requests: readonly { readonly tokenFile: string; readonly identity: string }[];
}

/** A connection from an address that the pod has taken for itself. */
export interface SpoofAttempt {
  readonly op: 'spoof';
  readonly localAddress: string;
  readonly host: string;
  readonly port: number;
}

export type Attempt = ConnectAttempt | TokenAttempt | SpoofAttempt;

export interface TunnelOutcome {
  /** TLS or HTTP/2 did not begin. */
  readonly error?: string;
  /** Status and first bytes of each CONNECT. */
  readonly answers: readonly { readonly status: number; readonly text: string }[];
}

/** Runs an attempt in `where`; null is the fabric. Returns what `intruder-client.ts` says. */
export async function intrude<T>(lab: TestLab, where: LabTarget | null, attempt: Attempt): Promise<T> {
  const argv = [process.execPath, path.join(import.meta.dirname, 'intruder-client.ts')];
  const { command, args } = where === null ? onFabric(lab, argv) : enterCommand(where, argv);
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...where?.env } });
  child.stdin.end(JSON.stringify(attempt));
  return JSON.parse(await text(child.stdout)) as T;
}

function onFabric(lab: TestLab, argv: readonly string[]): { command: string; args: string[] } {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
  return { command: 'nsenter', args: ['-t', String(lab.client.lab.hostPid), '--net', ...user, '--', ...argv] };
}
