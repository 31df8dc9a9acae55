// A running mesh as commands see it: a lab or a cluster, and both answer alike.

import type { IncomingMessage } from 'node:http';
import { MeshError } from '../base/errors.ts';
import { labelTest } from '../base/label-selector.ts';
import type { Manifest } from '../install/parts.ts';
import type { RanProgram } from '../kube/api/exec.ts';
import type { LabClient } from '../lab/control-client.ts';
import type { ApplyResult, LabPart } from '../lab/control-types.ts';
import { isWaypointObject } from './waypoint-gateways.ts';

/** A part whose admin port is asked; '' is the name of the controller. */
export type MeshPart =
  | { readonly kind: 'controller'; readonly name: '' }
  | { readonly kind: 'node'; readonly name: string }
  /** `NAMESPACE/NAME` of its Gateway. */
  | { readonly kind: 'waypoint'; readonly name: string };

export interface Mesh {
  /** `lab NAME`, or `cluster CONTEXT`. */
  readonly title: string;
  readonly isLab: boolean;
  /**
   * What a part answers to `GET path`, as JSON. Rejects with NOT_FOUND for a part that is not there, NOT_REACHABLE or
   * TIMED_OUT for one that does not answer.
   */
  admin(part: MeshPart, path: string): Promise<unknown>;
  /** Lines of what a path of the controller's admin port answers, as they come, until `signal`. */
  stream(path: string, signal?: AbortSignal): AsyncIterable<string>;
  /** What the controller's live page answers to `GET path`, whatever its status; `signal` ends it. */
  page(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** Names of the nodes that have a proxy. */
  nodes(): Promise<readonly string[]>;
  /**
   * Every object of a kind, of a namespace alone where one is named, as Kubernetes has it; those alone that a label
   * selector lets through.
   */
  objects(kind: string, namespace?: string, selector?: string): Promise<readonly object[]>;
  /** The command that shows what a part has said. */
  logsCommand(part: MeshPart): string;
}

export interface ObjectName {
  readonly kind: string;
  /** '' for what is in no namespace. */
  readonly namespace: string;
  readonly name: string;
}

/** The log of one of our programs. */
export interface LogSource {
  /** `controller`, `node/NAME`, `waypoint/NS/NAME`; in a cluster with the pod behind it. */
  readonly name: string;
  /** All of it, or what was said since. Rejects with what `Mesh.admin` does. */
  read(sinceMs: number | null): Promise<string>;
}

export type WriteAction = 'created' | 'changed' | 'unchanged';

/**
 * What those who operate a mesh do beyond looking. Refusals reject with KUBE_API in a cluster, CONFIG_INVALID in a lab.
 */
export interface OperableMesh extends Mesh {
  /** Merges fields into an object (RFC 7396). Rejects with NOT_FOUND. */
  patch(target: ObjectName, patch: object): Promise<WriteAction>;
  /** Makes an object as it is given, or changes it to that. */
  apply(manifest: Manifest): Promise<WriteAction>;
  /** Rejects with NOT_FOUND. */
  remove(target: ObjectName): Promise<void>;
  /** What a part answers to `POST path`. */
  tell(part: MeshPart, path: string): Promise<unknown>;
  /** What a part answers to `GET path`, as it is. */
  text(part: MeshPart, path: string): Promise<string>;
  logSources(): Promise<readonly LogSource[]>;
  /**
   * Runs a program in a pod's first container, without standard input. Rejects with NOT_REACHABLE when it breaks off,
   * TIMED_OUT.
   */
  run(pod: Omit<ObjectName, 'kind'>, argv: readonly string[], timeoutMs: number): Promise<RanProgram>;
  /** Replaces a node's proxy, in a cluster every node's, as an upgrade would; resolves when the new ones are ready. */
  restartNodeProxy(node: string, timeoutMs: number): Promise<void>;
}

/** A lab, by its control socket. */
export class LabMesh implements OperableMesh {
  readonly title: string;
  readonly isLab = true;
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

  page(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#lab.page(path, signal);
  }

  async nodes(): Promise<readonly string[]> {
    return (await this.#lab.status()).nodes.map(({ name }) => name);
  }

  async objects(kind: string, namespace?: string, selector = ''): Promise<readonly object[]> {
    const objects = (await this.#lab.get(kind, undefined, namespace)) as unknown as readonly Manifest[];
    if (selector === '') return objects;
    const test = labelTest(selector);
    return objects.filter(({ metadata }) => test(metadata.labels));
  }

  logsCommand({ kind, name }: MeshPart): string {
    return `ambientctl lab logs ${[kind, name].filter(Boolean).join('/')}`;
  }

  async patch({ kind, namespace, name }: ObjectName, patch: object): Promise<WriteAction> {
    return actionOf(await this.#lab.patch(kind, namespace, name, patch));
  }

  async apply(manifest: Manifest): Promise<WriteAction> {
    return actionOf(await this.#lab.apply([documentOf(manifest)]));
  }

  async remove({ kind, namespace, name }: ObjectName): Promise<void> {
    const [found] = await this.#lab.get(kind, name, namespace === '' ? undefined : namespace);
    actionOf(await this.#lab.delete([documentOf(found as unknown as Manifest)]));
  }

  async tell({ kind, name }: MeshPart, path: string): Promise<unknown> {
    return this.#lab.admin(kind, name, path, { method: 'POST' });
  }

  async text({ kind, name }: MeshPart, path: string): Promise<string> {
    const answer = await this.#lab.admin(kind, name, path);
    const text = typeof answer === 'object' && answer !== null && 'text' in answer ? answer.text : null;
    return typeof text === 'string' ? text : `${JSON.stringify(answer)}\n`;
  }

  async logSources(): Promise<readonly LogSource[]> {
    const gateways: readonly object[] = await this.#lab.get('Gateway');
    const waypoints = gateways.filter(isWaypointObject);
    const parts: (readonly [string, LabPart])[] = [
      ['lab', { kind: 'lab' }],
      ['controller', { kind: 'controller' }],
      ...(await this.nodes()).map((name): [string, LabPart] => [`node/${name}`, { kind: 'node', name }]),
      ...waypoints.map(({ metadata }): [string, LabPart] => {
        const { namespace = '', name } = metadata;
        return [`waypoint/${namespace}/${name}`, { kind: 'waypoint', namespace, name }];
      }),
    ];
    return parts.map(([name, part]) => ({ name, read: (sinceMs) => this.#log(part, sinceMs) }));
  }

  async run(
    { namespace, name }: Omit<ObjectName, 'kind'>,
    argv: readonly string[],
    timeoutMs: number,
  ): Promise<RanProgram> {
    const target = await this.#lab.target('pod', namespace, name);
    const { captureEntered } = await import('../lab/enter.ts');
    return captureEntered(target, argv, timeoutMs);
  }

  async restartNodeProxy(node: string, timeoutMs: number): Promise<void> {
    await this.#lab.restart({ kind: 'node', name: node }, { rolling: true }, timeoutMs);
  }

  async #log(part: LabPart, sinceMs: number | null): Promise<string> {
    const lines: string[] = [];
    for await (const line of this.#lab.logs(part)) lines.push(`${line}\n`);
    return logSince(lines.join(''), sinceMs);
  }
}

function documentOf(manifest: Manifest): { file: string; text: string } {
  const { kind, metadata } = manifest;
  return { file: `${kind} ${metadata.namespace ?? ''}/${metadata.name}`, text: JSON.stringify(manifest) };
}

/** Throws CONFIG_INVALID for what the lab has refused. */
function actionOf({ applied, refused }: ApplyResult): WriteAction {
  const [issue] = refused;
  if (issue !== undefined) {
    const place = `${issue.kind} ${issue.namespace === '' ? '' : `${issue.namespace}/`}${issue.name}`;
    throw new MeshError('CONFIG_INVALID', { place, reason: issue.message });
  }
  const action = applied[0]?.action;
  return action === 'created' || action === 'changed' ? action : 'unchanged';
}

/** The lines of a log of ours from that time on; one without a time belongs to the one before it. */
export function logSince(text: string, sinceMs: number | null): string {
  if (sinceMs === null) return text;
  let isKept = true;
  const lines = text.split('\n').filter((line) => {
    const time = /^(?:\{.*?"time":")?(\d{4}-\d\d-\d\dT[\d:.]+Z)/.exec(line)?.[1];
    if (time !== undefined) isKept = Date.parse(time) >= sinceMs;
    return isKept;
  });
  return lines.join('\n');
}
