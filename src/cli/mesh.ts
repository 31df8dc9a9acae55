// A running mesh as commands see it: a lab or a cluster, and both answer alike.
import type { LabClient } from '../lab/control-client.ts';

/** A part whose admin port is asked; '' is the name of the controller. */
export type MeshPart =
  | { readonly kind: 'controller'; readonly name: '' }
  | { readonly kind: 'node'; readonly name: string }
  /** `NAMESPACE/NAME` of its Gateway. */
  | { readonly kind: 'waypoint'; readonly name: string };

export interface Mesh {
  /** `lab NAME`, or `cluster CONTEXT`. */
  readonly title: string;
  /**
   * What a part answers to `GET path`, as JSON. Rejects with NOT_FOUND for a part that is not there, NOT_REACHABLE or
   * TIMED_OUT for one that does not answer.
   */
  admin(part: MeshPart, path: string): Promise<unknown>;
  /** Lines of what a path of the controller's admin port answers, as they come, until `signal`. */
  stream(path: string, signal?: AbortSignal): AsyncIterable<string>;
  /** Names of the nodes that have a proxy. */
  nodes(): Promise<readonly string[]>;
  /** Every object of a kind, as Kubernetes has it. */
  objects(kind: string): Promise<readonly object[]>;
  /** The command that shows what a part has said. */
  logsCommand(part: MeshPart): string;
}

/** A lab, by its control socket. */
export class LabMesh implements Mesh {
  readonly title: string;
  readonly #lab: LabClient;

  constructor(lab: LabClient) {
    this.title = `lab ${lab.lab.name}`;
    this.#lab = lab;
  }

  async admin({ kind, name }: MeshPart, path: string): Promise<unknown> {
    return this.#lab.admin(kind, name, path);
  }

  stream(path: string, signal?: AbortSignal): AsyncIterable<string> {
    return this.#lab.stream(path, signal);
  }

  async nodes(): Promise<readonly string[]> {
    return (await this.#lab.status()).nodes.map(({ name }) => name);
  }

  objects(kind: string): Promise<readonly object[]> {
    return this.#lab.get(kind);
  }

  logsCommand({ kind, name }: MeshPart): string {
    return `ambientctl lab logs ${[kind, name].filter(Boolean).join('/')}`;
  }
}
