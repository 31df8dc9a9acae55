// What a node proxy holds, as its own process and the kernel say it.
import { readdirSync, readFileSync } from 'node:fs';
import type { ResourcesView } from '../../src/model/views.ts';
import type { TestLab } from '../lab/harness.ts';
import { runIn } from './evidence.ts';

export interface ProxySample {
  readonly rssMb: number;
  readonly descriptors: number;
  readonly connections: number;
  readonly sessions: number;
  readonly streams: number;
  readonly held: number;
  /** How long turns of the slowest data thread's event loop took lately: all but a hundredth, and the longest. */
  readonly delayMs: number;
  readonly longestMs: number;
  /** What keeps its threads alive, by Node's names: timers, sockets, requests to the kernel. */
  readonly resources: ResourcesView;
}

/** A sample of the proxy of `node`; rejects when it does not answer. */
export async function sampleProxy(lab: TestLab, node: string): Promise<ProxySample> {
  const text = await metrics(lab, node);
  const value = (name: string): number => {
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  const delayMs = (statistic: string): number => {
    const name = 'ambient_event_loop_delay_seconds{';
    const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes(`statistic="${statistic}"`));
    return Math.max(0, ...lines.map((line) => Number(line.split(' ').at(-1)) * 1000));
  };
  const pid = lab.proxyPid(node);
  const rssKb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return {
    rssMb: Math.round(rssKb / 1024),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    connections: value('ambient_connections_open'),
    sessions: value('ambient_tunnel_client_sessions') + value('ambient_tunnel_server_sessions'),
    streams: value('ambient_tunnel_client_streams') + value('ambient_tunnel_server_streams'),
    held: value('ambient_connections_held'),
    delayMs: delayMs('p99'),
    longestMs: delayMs('max'),
    resources: await resourcesOf(lab, node),
  };
}

async function resourcesOf(lab: TestLab, node: string): Promise<ResourcesView> {
  const { threads, resources } = await lab.dump(node);
  const sums: Record<string, number> = {};
  for (const each of [resources, ...threads.map((thread) => thread.resources)]) {
    for (const [name, count] of Object.entries(each)) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

/** The metrics of a node's proxy, as text. */
export async function metrics(lab: TestLab, node: string): Promise<string> {
  const ask = "fetch('http://127.0.0.1:15020/metrics').then(async (r) => process.stdout.write(await r.text()))";
  const target = await lab.client.target('node', '', node);
  const { code, stdout, stderr } = await runIn(target, [process.execPath, '-e', ask]);
  if (code !== 0) throw new Error(`the proxy of ${node} does not answer: ${stderr}`);
  return stdout;
}
