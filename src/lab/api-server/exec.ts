// `pods/exec`: a program's pipes and a client's channels, joined, until the program has ended and the client knows with
// which code. Channels come over WebSocket (kubectl since 1.31) or SPDY (older ones, and client-go's usual executor).
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { signalEntered } from '../enter.ts';
import type { ExecRequest } from './containers.ts';

export type ChannelName = 'stdin' | 'stdout' | 'stderr' | 'error' | 'resize';

/** The client's end. */
export interface ExecChannels {
  /** False when the client should be waited for. */
  write(channel: ChannelName, bytes: Buffer): boolean;
  /** Says that nothing more comes, on any channel, and ends the connection. */
  finish(): void;
}

/** What the client does; set by `joinExec`. */
export interface ExecInput {
  input(bytes: Buffer): void;
  inputEnded(): void;
  /** What was written has left. */
  drained(): void;
  /** The connection is over. */
  gone(): void;
}

/** Joins a program and its client. The program gets SIGHUP when the client leaves before it has ended. */
export function joinExec(child: ChildProcess, request: ExecRequest, channels: ExecChannels): ExecInput {
  const outputs: Readable[] = [];
  const send = (from: Readable | null, channel: 'stdout' | 'stderr', isWanted: boolean): void => {
    if (from === null) return;
    outputs.push(from);
    from.on('data', (bytes: Buffer) => {
      if (isWanted && !channels.write(channel, bytes)) for (const one of outputs) one.pause();
    });
    from.on('error', () => {});
  };
  send(child.stdout, 'stdout', request.stdout);
  send(child.stderr, 'stderr', request.stderr);
  child.stdin?.on('error', () => {}); // it reads no more
  if (!request.stdin) child.stdin?.end();
  let isOver = false;
  const end = (status: object): void => {
    if (isOver) return;
    isOver = true;
    channels.write('error', Buffer.from(JSON.stringify(status)));
    channels.finish();
  };
  child.on('error', (error) => end(failure('InternalError', error.message)));
  // After `close` all of its output has been read.
  child.on('close', (code, signal) => end(statusOf(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15))));
  return {
    input: (bytes) => {
      if (request.stdin && child.stdin?.writable === true) child.stdin.write(bytes);
    },
    inputEnded: () => child.stdin?.end(),
    drained: () => {
      for (const one of outputs) one.resume();
    },
    gone: () => {
      if (isOver) return;
      isOver = true;
      child.stdin?.end();
      for (const one of outputs) one.resume();
      signalEntered(child, 'SIGHUP');
    },
  };
}

/** What the channel `error` says in the end, as kubelets do since `v4.channel.k8s.io`. */
function statusOf(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' };
  const message = `command terminated with non-zero exit code: error executing command, exit code ${code}`;
  const causes = [{ reason: 'ExitCode', message: String(code) }];
  return { ...failure('NonZeroExitCode', message), details: { causes } };
}

function failure(reason: string, message: string): object {
  return { metadata: {}, status: 'Failure', reason, message };
}
