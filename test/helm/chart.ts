// The chart as helm's own engine renders it, for tests: `render/` is a small program around it, since all of helm takes
// minutes to compile. What it leaves out is access to a cluster.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../../src/install/parts.ts';
import { goProgram } from '../conformance/support/tools.ts';

export const chartDir: string = path.join(import.meta.dirname, '../../deploy/helm/ambient');
const sources = path.join(import.meta.dirname, 'render');

export interface Rendering {
  /** Text of every template, NOTES.txt included; empty when it was refused. */
  readonly files: ReadonlyMap<string, string>;
  /** What was refused, in helm's words, or ''. */
  readonly error: string;
}

export interface Asked {
  readonly values?: unknown;
  /** Instead of the chart's own defaults, as `helm upgrade --reuse-values` takes those of the chart that is there. */
  readonly defaults?: unknown;
  readonly namespace?: string;
}

/** Helm's engine with our chart, until `close()`. The first one ever is built, which takes a minute. */
export class Chart {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;

  constructor() {
    const program = goProgram(sources, 'helm-render');
    this.#child = spawn(program, [chartDir], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** One rendering at a time. */
  async render({ values = {}, defaults, namespace = 'ambient-system' }: Asked = {}): Promise<Rendering> {
    const answer = once(this.#lines, 'line', { signal: AbortSignal.timeout(30_000) });
    this.#child.stdin.write(`${JSON.stringify({ values, defaults, namespace })}\n`);
    const [line] = (await answer) as [string];
    const { files = {}, error = '' } = JSON.parse(line) as { files?: Record<string, string>; error?: string };
    return { files: new Map(Object.entries(files)), error };
  }

  /** Ends the program. */
  close(): void {
    this.#child.kill();
  }
}

/** Every object of a rendering. */
export function objectsOf({ files }: Rendering): Manifest[] {
  const yaml = [...files].filter(([name]) => name.endsWith('.yaml')).map(([, text]) => text);
  return yaml.flatMap((text) => {
    return parseAllDocuments(text, { strict: true, uniqueKeys: true }).flatMap((one) => {
      if (one.errors.length > 0) throw one.errors[0]!;
      return one.contents === null || one.toJS() === null ? [] : [one.toJS() as Manifest];
    });
  });
}

const ofHelm = ['helm.sh/chart', 'app.kubernetes.io/instance', 'app.kubernetes.io/managed-by'];

/** The object without what helm adds of its own. */
export function withoutHelm(object: Manifest): Manifest {
  const { annotations, labels, ...rest } = object.metadata as Manifest['metadata'] & {
    annotations?: Record<string, string>;
  };
  const own = Object.fromEntries(Object.entries(labels).filter(([name]) => !ofHelm.includes(name)));
  const { 'helm.sh/resource-policy': _kept, ...others } = annotations ?? {};
  const noted = Object.keys(others).length === 0 ? {} : { annotations: others };
  return { ...object, metadata: { ...rest, ...noted, labels: own } };
}
