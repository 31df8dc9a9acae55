// The shop with its waypoint in a lab, and a real Prometheus in there that scrapes it and has our alerts.
import assert from 'node:assert/strict';
import { projectFile } from '../../src/base/project-files.ts';
import { runInProcess } from '../../src/cli/testing-run.ts';
import type { Exporter } from '../../src/telemetry/metric-entry.ts';
import { node1, startLab, type TestLab } from '../lab/harness.ts';
import { startReceiver } from '../lab/trace-receiver.ts';
import { waypointFolder } from './incident.ts';
import { type ActiveAlert, Prometheus } from './prometheus.ts';
import { shortRules } from './short-rules.ts';

export const rulesFile = projectFile('deploy/prometheus/alerts.yaml');
const shopFolder = projectFile('deploy/samples/shop');
/** Of `node-1`, where the receiver of traces is. */
export const receiverUrl = 'http://10.80.0.11:4318';
const tracing = { endpoint: receiverUrl, samplingPercent: 100 };
const deadlineMs = 60_000;
const againMs = 500;

export interface Scene {
  readonly lab: TestLab;
  readonly prometheus: Prometheus;
  /** `HOST:PORT` of what each program exports. */
  readonly addresses: Readonly<Record<Exporter, readonly string[]>>;
  close(): Promise<void>;
}

/** Brings everything up; certificates of node proxies live for `certificateTtl`. */
export async function startScene(certificateTtl: string): Promise<Scene> {
  const nodeConfig = { certificateTtl, log: { format: 'json' }, tracing: { ...tracing, connections: true } };
  const waypointConfig = { log: { format: 'json' }, tracing };
  const lab = await startLab('', { paths: [shopFolder], nodeConfig, waypointConfig });
  const receiver = await startReceiver(lab, node1, receiverUrl);
  const prometheus = new Prometheus(lab, node1);
  const close = async (): Promise<void> => {
    await prometheus.close();
    await receiver.close();
    await lab.close();
  };
  try {
    const { refused } = await lab.client.apply([waypointFolder]);
    assert.deepEqual(refused, []);
    const { pods } = await lab.client.status();
    const waypoint = pods.find((pod) => pod.namespace === 'shop' && pod.serviceAccount === 'waypoint')!;
    const waypointAddress = waypoint.addresses.find((address) => !address.includes(':'))!;
    const addresses = {
      node: ['10.80.0.11:15020', '10.80.0.12:15020'],
      waypoint: [`${waypointAddress}:15020`],
      controller: ['10.80.0.1:15020'],
    };
    const jobs = {
      'ambient-node': addresses.node,
      'ambient-waypoint': addresses.waypoint,
      'ambient-controller': addresses.controller,
    };
    await prometheus.start(jobs, shortRules(rulesFile));
    return { lab, prometheus, addresses, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Asks again until `done` has nothing left to say; throws with that after `withinMs`. */
export async function until(done: () => Promise<readonly string[]>, withinMs: number = deadlineMs): Promise<void> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    const left = await done();
    if (left.length === 0) return;
    assert(Date.now() < endMs, left.join('\n'));
    await new Promise((resolve) => setTimeout(resolve, againMs));
  }
}

/** What is not as it should be in the answer of a command; [] when all is. */
export async function askedOf(
  { lab }: Scene,
  { command, says, exitCode }: { command: readonly string[]; says: readonly RegExp[]; exitCode: number },
): Promise<string[]> {
  const { code, out, err } = await runInProcess([...command, '--lab', lab.client.lab.name]);
  const text = `${out}${err}`;
  const missing = says
    .filter((words) => !words.test(text))
    .map((words) => `${command.join(' ')} does not say ${words}`);
  const wrong = code === exitCode ? [] : [`${command.join(' ')} ends with ${code}, not ${exitCode}`];
  return missing.length + wrong.length === 0 ? [] : [...wrong, ...missing, text];
}

/** Alerts that fire now. */
export async function firing({ prometheus }: Scene): Promise<ActiveAlert[]> {
  return (await prometheus.alerts()).filter(({ state }) => state === 'firing');
}

/** `NAME {labels}`, for messages. */
export function alertText({ labels }: ActiveAlert): string {
  const { alertname, severity: _, ...others } = labels;
  return `${alertname} ${JSON.stringify(others)}`;
}
