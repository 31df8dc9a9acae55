// A lab per test file: `startLab` with manifests, agents inside pods, and the proxies' own words to compare with.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LabClient } from '../../src/lab/control-client.ts';
import type { ApplyResult } from '../../src/lab/control-types.ts';
import { type LaunchOptions, launchLab } from '../../src/lab/launch.ts';
import type { NodeDump } from '../../src/model/views.ts';
import type { AccessRecord } from '../../src/telemetry/access-record.ts';
import { PodAgent } from './agent.ts';

export const node1 = 'node-1';
export const node2 = 'node-2';

/** Two nodes by the names that the builders below use. */
export const twoNodes = [node1, node2]
  .map((name) => `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}, labels: {kubernetes.io/hostname: ${name}}}\n`)
  .join('---\n');

export function namespace(name: string, enrolled = true): string {
  const labels = enrolled ? '{ambient.mesh/dataplane-mode: ambient}' : '{}';
  return `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: ${labels}}\n`;
}

export interface PodSpec {
  readonly node: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly serviceAccount?: string;
  /** What runs; without it a pod that only waits for an agent. */
  readonly image?: string;
  readonly command?: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe?: object;
}

/** A bare pod. Its service account (its own name unless given) comes with it. */
export function pod(name: string, spec: PodSpec): string {
  const ns = spec.namespace ?? 'app';
  const account = spec.serviceAccount ?? name;
  const container = {
    name: 'main',
    image: spec.image ?? 'none',
    ...(spec.image === undefined ? { command: spec.command ?? ['sleep', 'infinity'] } : {}),
    ports: spec.ports ?? [],
    ...(spec.readinessProbe === undefined ? {} : { readinessProbe: spec.readinessProbe }),
  };
  const objects = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace: ns } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: ns, labels: { app: name, ...spec.labels } },
      spec: {
        serviceAccountName: account,
        nodeName: spec.node,
        terminationGracePeriodSeconds: 1,
        containers: [container],
      },
    },
  ];
  return objects.map(document).join('');
}

export function service(
  name: string,
  port: number,
  targetPort: number | string,
  selector: Readonly<Record<string, string>>,
  more: Readonly<Record<string, unknown>> = {},
): string {
  return document({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'app' },
    spec: { selector, ports: [{ name: 'main', port, targetPort }], ...more },
  });
}

/** Any object as a YAML document (JSON is YAML). */
export function document(object: object): string {
  return `---\n${JSON.stringify(object)}\n`;
}

export interface Policy {
  readonly name: string;
  readonly namespace?: string;
  readonly spec: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function authorizationPolicy(policy: Policy): string {
  const { name, namespace: ns = 'app', spec, annotations = {} } = policy;
  const metadata = { name, namespace: ns, annotations };
  return document({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec });
}

export function peerAuthentication(policy: Policy): string {
  const { name, namespace: ns = 'app', spec } = policy;
  const metadata = { name, namespace: ns };
  return document({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata, spec });
}

/** Leaves out a document that is there already, letter by letter: two pods of one service account both bring it. */
function withoutTwins(yaml: string): string {
  return [...new Set(yaml.split(/^---\n/m))].join('---\n');
}

let labsStarted = 0;

/** Starts a lab of two nodes with `manifests`. Rejects with the lab's own reason when it does not become ready. */
export async function startLab(manifests: string, options: Partial<LaunchOptions> = {}): Promise<TestLab> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-test-'));
  writeFileSync(path.join(folder, 'mesh.yaml'), withoutTwins(manifests));
  const name = `test-${process.pid}-${++labsStarted}`;
  try {
    const nodeConfig = { log: { format: 'json' }, ...options.nodeConfig };
    const defaults = { name, paths: [folder], foreground: true, timeoutMs: 90_000 };
    const client = await launchLab({ ...defaults, ...options, nodeConfig });
    return new TestLab(client, folder);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** What `once` measures is under `limitMs` at least one time in three: the machine may have been busy with others. */
export async function takesUnder(limitMs: number, once: () => Promise<number>): Promise<void> {
  const tookMs: number[] = [];
  do tookMs.push(Math.round(await once()));
  while (tookMs.length < 3 && tookMs.at(-1)! >= limitMs);
  assert(tookMs.at(-1)! < limitMs, `took ${tookMs.join(', ')} ms`);
}

export class TestLab {
  readonly client: LabClient;
  /** The folder that the lab watches. */
  readonly folder: string;
  readonly #agents: PodAgent[] = [];

  constructor(client: LabClient, folder: string) {
    this.client = client;
    this.folder = folder;
  }

  /** An agent in pod `name`; several in one pod are fine. */
  async agent(name: string, ns = 'app', file?: string): Promise<PodAgent> {
    const agent = await PodAgent.start(await this.client.target('pod', ns, name), file);
    this.#agents.push(agent);
    return agent;
  }

  /** An agent in a node's own namespace: what the kubelet or a stranger on the node could do. */
  async nodeAgent(node: string): Promise<PodAgent> {
    const agent = await PodAgent.start(await this.client.target('node', '', node));
    this.#agents.push(agent);
    return agent;
  }

  async addressOf(name: string, ns = 'app', family: 4 | 6 = 4): Promise<string> {
    const status = await this.client.status();
    const found = status.pods.find((each) => each.name === name && each.namespace === ns);
    const address = found?.addresses.find((each) => each.includes(':') === (family === 6));
    assert(address !== undefined, `pod ${ns}/${name} has no IPv${family} address`);
    return address;
  }

  /** Applies YAML; fails the test when anything is refused. Returns when every proxy is in step. */
  async apply(yaml: string): Promise<ApplyResult> {
    const result = await this.client.apply([{ file: 'test.yaml', text: withoutTwins(yaml) }]);
    assert.deepEqual(result.refused, [], 'applied without refusal');
    return result;
  }

  async delete(yaml: string): Promise<ApplyResult> {
    return await this.client.delete([{ file: 'test.yaml', text: withoutTwins(yaml) }]);
  }

  async dump(node: string): Promise<NodeDump> {
    return (await this.client.admin('node', node, '/config_dump')) as NodeDump;
  }

  /** The access-log records of a node proxy, or of a waypoint's pods, so far. */
  async accessLog(part: string | { readonly waypoint: string; readonly namespace: string }): Promise<AccessRecord[]> {
    const records: AccessRecord[] = [];
    const whose =
      typeof part === 'string'
        ? ({ kind: 'node', name: part } as const)
        : ({ kind: 'waypoint', name: part.waypoint, namespace: part.namespace } as const);
    for await (const line of this.client.logs(whose, { access: true })) {
      records.push(JSON.parse(line) as AccessRecord);
    }
    return records;
  }

  /** The first access-log record of a node proxy that fits, from the log's beginning; waits for it. */
  async accessRecord(
    node: string,
    what: string,
    fits: (record: AccessRecord) => boolean,
    timeoutMs = 10_000,
  ): Promise<AccessRecord> {
    const seen: AccessRecord[] = [];
    const found = (async () => {
      for await (const line of this.client.logs({ kind: 'node', name: node }, { access: true, follow: true })) {
        const record = JSON.parse(line) as AccessRecord;
        if (fits(record)) return record;
        seen.push(record);
      }
      throw new Error('the log ended');
    })();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const last = seen
        .slice(-5)
        .map((record) => JSON.stringify(record))
        .join('\n');
      reject(
        new Error(
          `no access-log record of ${what} on ${node} in ${timeoutMs} ms; the last of ${seen.length}:\n${last}`,
        ),
      );
    }, timeoutMs);
    return await Promise.race([found, late]).finally(() => clearTimeout(timer));
  }

  /** Host process id of the node proxy of `node`, the oldest when two overlap. */
  proxyPid(node: string): number {
    const pids = this.processes().filter(({ argv }) => argv.includes('ambient-node') && argv.includes(`/${node}`));
    assert(pids[0] !== undefined, `the node proxy of ${node} runs`);
    return pids[0].pid;
  }

  /** Host process ids and command lines of everything in the lab's pid namespace, oldest first. */
  processes(): { pid: number; argv: string }[] {
    const namespaceOf = (pid: number | string): string => {
      try {
        return readlinkSync(`/proc/${pid}/ns/pid`);
      } catch {
        return '';
      }
    };
    const own = namespaceOf(this.client.lab.hostPid);
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry) && namespaceOf(entry) === own)
      .map((pid) => ({ pid: Number(pid), startedAt: startOf(pid) }))
      .sort((a, b) => a.startedAt - b.startedAt)
      .map(({ pid }) => ({ pid, argv: commandLineOf(pid) }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.close()));
    await this.client.down();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** In clock ticks since the machine's start; process ids begin anew at some time, and say nothing about age. */
function startOf(pid: string): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[19]);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
