// A real Prometheus inside a node of a lab, where one on the host network would be. It ends with the lab, or before.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { enterCommand, signalEntered } from '../../src/lab/enter.ts';
import type { TestLab } from '../lab/harness.ts';

const run = promisify(execFile);
const api = 'http://127.0.0.1:9090/api/v1';
const askTimeoutMs = 20_000;
const outputMax = 1 << 26;

/** What is asked of the API: by path and query, all at once, by a program in the node. */
const script = `
const asked = JSON.parse(process.argv[1]);
const answers = [];
for (const { url, accept } of asked) {
  try {
    const response = await fetch(url, { headers: { accept } });
    answers.push({ status: response.status, type: response.headers.get('content-type'), text: await response.text() });
  } catch (error) {
    answers.push({ status: 0, type: '', text: String(error.cause ?? error) });
  }
}
process.stdout.write(JSON.stringify(answers));
`;

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export interface Result {
  readonly error: string | null;
  readonly series: readonly { readonly metric: Readonly<Record<string, string>>; readonly value: unknown }[];
}

export interface ScrapeTarget {
  readonly health: string;
  readonly lastError: string;
  readonly scrapeUrl: string;
}

export interface ActiveAlert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Prometheus with jobs of targets (`HOST:PORT`) and rules as YAML. */
export class Prometheus {
  readonly #lab: TestLab;
  readonly #node: string;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'ambient-prometheus-'));
  #child: ChildProcess | null = null;

  constructor(lab: TestLab, node: string) {
    this.#lab = lab;
    this.#node = node;
  }

  async start(jobs: Readonly<Record<string, readonly string[]>>, rules: string): Promise<void> {
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yml'],
      scrape_configs: Object.entries(jobs).map(([name, targets]) => ({
        job_name: name,
        static_configs: [{ targets }],
      })),
    };
    writeFileSync(path.join(this.#folder, 'rules.yml'), rules);
    const file = path.join(this.#folder, 'prometheus.yml');
    writeFileSync(file, JSON.stringify(config));
    mkdirSync(path.join(this.#folder, 'data'));
    const options = ['--web.listen-address=127.0.0.1:9090', '--log.level=warn', '--enable-feature=exemplar-storage'];
    const argv = ['prometheus', `--config.file=${file}`, `--storage.tsdb.path=${this.#folder}/data`, ...options];
    const target = await this.#lab.client.target('node', '', this.#node);
    const { command, args } = enterCommand(target, argv);
    const env = { ...target.env, PATH: process.env['PATH'] ?? '/usr/bin' };
    this.#child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    this.#child.on('error', () => {});
  }

  /** Answers of any addresses, as a program in the node gets them. */
  async fetch(asked: readonly { readonly url: string; readonly accept?: string }[]): Promise<readonly Answer[]> {
    const target = await this.#lab.client.target('node', '', this.#node);
    const list = JSON.stringify(asked.map(({ url, accept = '*/*' }) => ({ url, accept })));
    const argv = [process.execPath, '--input-type=module', '-e', script, list];
    const { command, args } = enterCommand(target, argv);
    const { stdout } = await run(command, args, { maxBuffer: outputMax, timeout: askTimeoutMs });
    return JSON.parse(stdout) as readonly Answer[];
  }

  async targets(): Promise<readonly ScrapeTarget[]> {
    const [answer] = await this.fetch([{ url: `${api}/targets` }]);
    if (answer?.status !== 200) return [];
    return (JSON.parse(answer.text) as { data: { activeTargets: ScrapeTarget[] } }).data.activeTargets;
  }

  /** What each expression is now. */
  async query(expressions: readonly string[]): Promise<readonly Result[]> {
    const answers = await this.fetch(
      expressions.map((expr) => ({ url: `${api}/query?query=${encodeURIComponent(expr)}` })),
    );
    return answers.map(({ status, text }) => {
      if (status !== 200) return { error: text, series: [] };
      const { data } = JSON.parse(text) as { data: { result: Result['series'] } };
      return { error: null, series: data.result };
    });
  }

  /** Alerts that are pending or firing. */
  async alerts(): Promise<readonly ActiveAlert[]> {
    const [answer] = await this.fetch([{ url: `${api}/alerts` }]);
    if (answer?.status !== 200) return [];
    return (JSON.parse(answer.text) as { data: { alerts: ActiveAlert[] } }).data.alerts;
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      signalEntered(child, 'SIGKILL');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
