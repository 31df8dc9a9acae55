// Says when the network of this machine has changed: `ip monitor` as a child, started again when it ends. What changed
// is read anew by whoever asked (`node-network.ts`), so that a line that is lost costs nothing but time.
import { spawn } from 'node:child_process';
import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { commandEnvironment } from './command.ts';

/** The end of standard input ends it, so that nothing is left behind by a proxy that was killed. */
const script = 'ip monitor link address route & read -r _; kill $!';

export interface NetworkFollowerOptions {
  readonly clock: Clock;
  readonly backoff: Backoff;
  /** Something about links, addresses or routes is not as it was; or may have changed unseen. */
  readonly onChange: () => void;
}

/** Starts to follow; returns what ends it. Failures end in another try, and count as a change when one succeeds. */
export function followNetwork({ clock, backoff, onChange }: NetworkFollowerOptions): () => void {
  let isClosed = false;
  let end = (): void => {};
  const start = (): void => {
    const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'], env: commandEnvironment() });
    child.stdin.on('error', () => {});
    end = () => void child.stdin.end();
    child.on('spawn', onChange);
    child.stdout.on('error', () => {});
    child.stdout.on('data', () => {
      backoff.reset();
      onChange();
    });
    child.on('error', () => {}); // 'close' follows
    child.on('close', () => {
      if (!isClosed) end = clock.after(backoff.next(), start);
    });
  };
  start();
  return () => {
    isClosed = true;
    end();
  };
}
