// What the lab and the agent of a node say to each other, over the agent's IPC channel.
import type { ProbeAction } from './probe.ts';
import type { ProbeTiming } from './prober.ts';

export type ToAgent =
  | { readonly type: 'watch'; readonly id: string; readonly action: ProbeAction; readonly timing: ProbeTiming }
  | { readonly type: 'unwatch'; readonly id: string }
  /** An HTTP request to a loopback port of the node. */
  | {
      readonly type: 'request';
      readonly id: number;
      readonly method: string;
      readonly port: number;
      readonly path: string;
      readonly body: string;
      readonly timeoutMs: number;
    };

export type FromAgent =
  | { readonly type: 'started' }
  | { readonly type: 'verdict'; readonly id: string; readonly passed: boolean; readonly message: string }
  | {
      readonly type: 'answer';
      readonly id: number;
      readonly status: number;
      readonly body: string;
      readonly pid: number | null;
    }
  | { readonly type: 'noAnswer'; readonly id: number; readonly reason: string };
