// What an incident is: something that goes wrong in a running demo, what shows it, and how it is mended. Each of the
// twelve is a file of this folder; docs/runbook.md is written for them, and `incidents.test.ts` holds it.
import assert from 'node:assert/strict';
import { projectFile } from '../../src/base/project-files.ts';
import { askPod } from '../../src/lab/ask-pod.ts';
import type { LabClient } from '../../src/lab/control-client.ts';
import type { Sight } from './sight.ts';

export interface Incident {
  /** The file's. */
  readonly name: string;
  /** What goes wrong, in words. */
  readonly breaks: string;
  /** Heading of docs/runbook.md. */
  readonly runbook: string;
  /** Makes it so; resolves when it is done, not when it shows. Once more changes nothing. */
  breakIt(lab: LabClient): Promise<void>;
  /** Undoes it, also when it was never done. */
  mend(lab: LabClient): Promise<void>;
  /** The one command that finds the cause: words after `ambientctl`. */
  readonly command: readonly string[];
  /** Words of its answer. */
  readonly says: readonly RegExp[];
  readonly exitCode: number;
  /** The alert that fires, with labels that say who. */
  readonly alert: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  /** What fires with it, or may. */
  readonly others?: readonly string[];
  /** Where the live page shows it: what to open, and what one reads there. */
  readonly sights: readonly Sight[];
  /** What people who try it have to know. */
  readonly note?: string;
  /** Panels that show it: `DASHBOARD, PANEL`. */
  readonly panels: readonly string[];
}

/** The folder with what the demo's waypoint is made of. */
export const waypointFolder = projectFile('deploy/samples/shop-waypoint');

/** What `applied` waits for: a proxy may be out of step for another reason. */
const applyTimeoutMs = 20_000;

/** Applies YAML; throws where something is refused. */
export async function applied(lab: LabClient, yaml: string): Promise<void> {
  const { refused } = await lab.apply([{ file: 'incident.yaml', text: yaml }], applyTimeoutMs);
  assert.deepEqual(refused, []);
}

/** Deletes what YAML names, as far as it is there. */
export async function deleted(lab: LabClient, yaml: string): Promise<void> {
  await lab.delete([{ file: 'incident.yaml', text: yaml }], applyTimeoutMs);
}

/** Tells a sample of the shop how to fail; see src/lab/echo/sample-faults.ts. */
export async function told(lab: LabClient, name: string, faults: string): Promise<void> {
  await askPod(lab, 'shop', name, 'PUT', `/faults?${faults}`);
}
