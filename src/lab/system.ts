// The mesh's own programs in the lab: the controller in the fabric, one node proxy per node, each the real program.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Resource } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import type { LabFault, LabPart } from './control-types.ts';
import type { Lab } from './lab.ts';
import type { Pod } from './objects.ts';
import { paths } from './private-files.ts';

export const systemNamespace = 'ambient-system';

/** The programs of the mesh: their configuration, their processes, their state. */
export class MeshSystem {
  readonly #lab: Lab;

  constructor(lab: Lab, _log: (line: string) => void) {
    this.#lab = lab;
  }

  get #enabled(): boolean {
    return this.#lab.options.mesh;
  }

  prepare(): void {}

  start(): void {}

  close(): void {}

  /** Resolves when the node's proxy captures what its pods send; at once when there is no mesh. */
  async captured(_nodeName: string): Promise<void> {}

  isReady(_nodeName: string): boolean {
    return false;
  }

  pending(): string[] {
    return this.#enabled ? [] : [];
  }

  check(_resources: readonly Resource[]): readonly ResourceIssue[] {
    return [];
  }

  isEnrolled(_pod: Pod): boolean {
    return false;
  }

  /** Proxies that have not applied everything, in words. */
  async behind(): Promise<string[]> {
    return [];
  }

  async *logs(_node: string | null, _follow: boolean, _access: boolean, _signal: AbortSignal): AsyncIterable<Buffer> {}

  async restart(_part: LabPart, _rolling: boolean, _kill: boolean, _timeoutMs: number): Promise<void> {}

  async fault(_fault: LabFault): Promise<void> {}

  async admin(_node: string | null, _method: string, _path: string, _body: string): Promise<unknown> {
    return null;
  }

  /** PEM of the mesh's roots, '' while there are none. */
  roots(): string {
    try {
      return readFileSync(path.join(paths.system, 'roots.pem'), 'utf8');
    } catch {
      return '';
    }
  }
}
