// `ambientctl enroll | unenroll`: puts pods into the mesh and takes them out again by a label, says what that changes,
// and waits until the proxies have it.

import { MeshError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest-name.ts';
import type { Labels } from '../model/resources.ts';
import type { MeshView, StatusView } from '../model/views.ts';
import {
  type Command,
  type CommandContext,
  type CommandResult,
  durationOption,
  flagOption,
  textOption,
} from './command.ts';
import {
  kindWords,
  type LabelChange,
  type ObjectsOf,
  type PlainObject,
  type Plan,
  type PodOutcome,
  patchOf,
  planOf,
  type Wish,
} from './enroll-plan.ts';
import type { CliIo, Paint } from './io.ts';
import type { Mesh } from './mesh.ts';
import { waitUntil } from './progress.ts';
import { type LabelTest, selectorOption } from './selection.ts';
import { isWaypointObject } from './waypoint-gateways.ts';
import { adminView, meshOf } from './which-mesh.ts';

type Verb = Wish['verb'];

/** `enroll` or `unenroll`. */
export function enroll(verb: Verb): Command {
  return async (context) => {
    const named = wishOf(context, verb);
    const isMeant = selectorOption(context);
    const mesh = await meshOf(context);
    const known = new Map<string, Promise<readonly PlainObject[]>>();
    // Each kind is asked for once; what is decided is decided about one state.
    const objectsOf: ObjectsOf = (kind) => {
      const asked = known.get(kind) ?? (mesh.objects(kind) as Promise<readonly PlainObject[]>);
      known.set(kind, asked);
      return asked;
    };
    const wish = isMeant === null ? named : { ...named, targets: await selectedTargets(named, isMeant, objectsOf) };
    if (verb === 'enroll') await checkWaypoint(wish, objectsOf);
    const plan = await planOf(wish, objectsOf);
    const lost = verb === 'unenroll' ? await policiesLost(plan, objectsOf, wish.systemNamespace) : [];
    const dryRun = flagOption(context, 'dryRun');
    if (!dryRun) {
      for (const change of plan.changes) await mesh.patch(change, patchOf(change));
      if (flagOption(context, 'wait')) {
        await waitForPods(context.io, mesh, plan, objectsOf, durationOption(context, 'timeout', 60_000));
      }
    }
    return enrollResult({ verb, plan, lost, dryRun, isLab: mesh.title.startsWith('lab '), wish });
  };
}

function wishOf(context: CommandContext, verb: Verb): Wish {
  const through = context.options['waypoint'];
  const waypoint = typeof through === 'string' ? through : through === true ? '' : null;
  if (waypoint === 'none') throw new MeshError('USAGE', { reason: "a waypoint cannot be called 'none'" });
  if (context.args.length === 0 && textOption(context, 'selector') === undefined) {
    const reason = `say what to ${verb}: NAMESPACE, deploy/NAME -n NS, …, or -l SELECTOR`;
    throw new MeshError('USAGE', { reason });
  }
  return {
    verb,
    targets: context.args,
    namespace: textOption(context, 'namespace') ?? 'default',
    waypoint,
    systemNamespace: textOption(context, 'systemNamespace') ?? 'ambient-system',
  };
}

/** Objects of the kinds that are named, without one the namespaces, as targets; never what the mesh itself runs in. */
async function selectedTargets(
  { targets, namespace, systemNamespace }: Wish,
  isMeant: LabelTest,
  objectsOf: ObjectsOf,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const word of targets.length === 0 ? ['ns'] : targets) {
    const kind = kindWords[word.toLowerCase()];
    if (kind === undefined) {
      throw new MeshError('USAGE', { reason: `with -l a kind is named, such as ns or deploy, not '${word}'` });
    }
    const isWhole = kind === 'Namespace';
    const objects = (await objectsOf(kind)).filter(({ metadata }) => {
      return isWhole ? metadata.name !== systemNamespace : metadata.namespace === namespace;
    });
    const meant = objects.filter(({ metadata }) => isMeant(metadata.labels));
    found.push(...meant.map(({ metadata }) => `${kind}/${metadata.name}`));
    if (meant.length > 0) continue;
    const where = isWhole ? '' : ` of namespace ${namespace}`;
    const hint = 'see: kubectl get --show-labels, in a lab ambientctl lab get KIND --show-labels';
    throw new MeshError('NOT_FOUND', { what: `a ${kind}${where} with these labels`, hint });
  }
  return found;
}

/** A waypoint that is not there would be left out: its name is checked first. */
async function checkWaypoint(wish: Wish, objectsOf: ObjectsOf): Promise<void> {
  if (wish.waypoint === null) return;
  const isWhole = (target: string): boolean => !target.includes('/') || /^(ns|namespaces?)\//i.test(target);
  const gateways = (await objectsOf('Gateway')).filter(isWaypointObject);
  for (const target of wish.targets) {
    const namespace = isWhole(target) ? (target.split('/').at(-1) ?? '') : wish.namespace;
    const here = gateways.filter(({ metadata }) => metadata.namespace === namespace);
    if (here.some(({ metadata }) => metadata.name === wish.waypoint)) continue;
    const names = here.map(({ metadata }) => metadata.name);
    const guess = didYouMean(wish.waypoint, names).replace(/^; /, '');
    const name = wish.waypoint === 'waypoint' ? '' : ` --name ${wish.waypoint}`;
    const make = `make it: ambientctl waypoint apply -n ${namespace}${name} --wait`;
    throw new MeshError('NOT_FOUND', { what: `waypoint ${namespace}/${wish.waypoint}`, hint: guess || make });
  }
}

/** A policy that is enforced no more for pods that leave. */
export interface LostPolicy {
  readonly kind: 'AuthorizationPolicy' | 'PeerAuthentication';
  readonly namespace: string;
  readonly name: string;
}

async function policiesLost(plan: Plan, objectsOf: ObjectsOf, systemNamespace: string): Promise<LostPolicy[]> {
  const leaving = plan.pods.filter(({ before, after }) => before && !after);
  if (leaving.length === 0) return [];
  const labels = new Map((await objectsOf('Pod')).map(({ metadata }) => [keyOf(metadata), metadata.labels ?? {}]));
  const roots = [systemNamespace, 'istio-system'];
  const lost: LostPolicy[] = [];
  for (const kind of ['PeerAuthentication', 'AuthorizationPolicy'] as const) {
    for (const { metadata, spec } of (await objectsOf(kind)) as readonly PolicyObject[]) {
      if (kind === 'PeerAuthentication' && spec?.mtls?.mode !== 'STRICT') continue;
      // What is on a service or a waypoint is judged there.
      if (spec?.targetRefs !== undefined || spec?.targetRef !== undefined) continue;
      const wanted = Object.entries(spec?.selector?.matchLabels ?? {});
      const { namespace = '', name } = metadata;
      const holds = leaving.some((pod) => {
        if (namespace !== pod.namespace && !roots.includes(namespace)) return false;
        const own = labels.get(keyOf(pod)) ?? {};
        return wanted.every(([label, value]) => own[label] === value);
      });
      if (holds) lost.push({ kind, namespace, name });
    }
  }
  return lost;
}

interface PolicyObject {
  readonly metadata: PlainObject['metadata'];
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels };
    readonly targetRef?: unknown;
    readonly targetRefs?: unknown;
    readonly mtls?: { readonly mode?: string };
  };
}

const keyOf = ({ namespace, name }: { readonly namespace?: string; readonly name: string }): string =>
  `${namespace ?? ''}/${name}`;

/** Until the controller serves the pods as they should be, and every proxy holds what it serves. */
async function waitForPods(io: CliIo, mesh: Mesh, plan: Plan, before: ObjectsOf, timeoutMs: number): Promise<void> {
  const rolled = plan.changes.filter(({ on }) => on === 'template');
  const old = new Set(
    (await before('Pod')).filter((pod) => isRolled(pod, rolled, plan)).map(({ metadata }) => keyOf(metadata)),
  );
  const stay = plan.pods.filter((pod) => !old.has(keyOf(pod)));
  const until = {
    what: 'the proxies to have it',
    leaves: 'the labels stay as they are set now, and the proxies follow',
    hint: 'see: ambientctl status',
    timeoutMs,
  };
  await waitUntil(io, until, async () => {
    const { workloads } = (await adminView(mesh, 'controller', '/mesh', 'workloads')) as MeshView;
    const served = new Map(workloads.map((one) => [keyOf(one), one.tunnelProtocol === 'HBONE']));
    const late = stay.filter((pod) => served.has(keyOf(pod)) && served.get(keyOf(pod)) !== pod.after);
    if (late.length > 0) return `the controller has not yet seen ${named(late.map(keyOf))}`;
    const there = old.size === 0 ? [] : [...old].filter((key) => served.has(key));
    if (there.length > 0) return `${named(there)} still to be replaced`;
    const { proxies } = (await adminView(mesh, 'controller', '/status', 'proxies')) as StatusView;
    const behind = proxies.filter(({ ready, inStep }) => !ready || !inStep).map(({ kind, name }) => `${kind} ${name}`);
    return behind.length === 0 ? null : `${named(behind)} not in step`;
  });
}

function isRolled(pod: PlainObject, rolled: readonly LabelChange[], plan: Plan): boolean {
  const planned = plan.pods.find((one) => keyOf(one) === keyOf(pod.metadata));
  return (
    planned !== undefined && planned.rolledBy !== null && rolled.some((change) => change.name === planned.rolledBy)
  );
}

export interface Enrolment {
  readonly verb: Verb;
  readonly plan: Plan;
  readonly lost: readonly LostPolicy[];
  readonly dryRun: boolean;
  readonly isLab: boolean;
  readonly wish: Wish;
}

/** The result for a plan that was carried out, or would be. */
export function enrollResult(enrolment: Enrolment): CommandResult {
  const { verb, plan, lost, dryRun } = enrolment;
  const changes = plan.changes.map(({ on: _, ...change }) => change);
  const pods = plan.pods.map(({ rolledBy: _, ...pod }) => pod);
  const result: CommandResult = {
    data: { verb, dryRun, changes, pods, policiesLost: lost },
    text: () =>
      dryRun
        ? manifestsOf(plan.changes)
        : plan.changes.map((change) => changeLine(verb, change)).join('') || 'nothing to change\n',
    talk: (paint) => talk(enrolment, paint),
    also: { name: () => plan.changes.map(({ kind, name }) => `${kind.toLowerCase()}/${name}\n`).join('') },
  };
  return result;
}

function changeLine(verb: Verb, { kind, namespace, name, on, labels }: LabelChange): string {
  const shown = Object.entries(labels).map(([label, value]) => (value === null ? `${label}-` : `${label}=${value}`));
  const title = `${kind.toLowerCase()}/${name}${namespace === '' ? '' : ` of ${namespace}`}`;
  return `${title} ${verb}ed: ${shown.join(' ')}${on === 'template' ? ' on its pods, which are replaced' : ''}\n`;
}

/** What `kubectl apply --server-side` takes; a label that goes is null. */
function manifestsOf(changes: readonly LabelChange[]): string {
  const documents = changes.map((change) => {
    const { apiVersion, kind, namespace, name } = change;
    const lines = Object.entries(change.labels).map(([label, value]) => `${label}: ${value ?? 'null'}`);
    const space = namespace === '' ? '' : `  namespace: ${namespace}\n`;
    const head = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${name}\n${space}`;
    if (change.on === 'object') return `${head}  labels:\n${indented(lines, 4)}`;
    return `${head}spec:\n  template:\n    metadata:\n      labels:\n${indented(lines, 8)}`;
  });
  return documents.join('---\n') || '# nothing to change\n';
}

function indented(lines: readonly string[], by: number): string {
  return lines.map((line) => `${' '.repeat(by)}${line}\n`).join('');
}

function talk({ verb, plan, lost, dryRun, isLab, wish }: Enrolment, paint: Paint): string {
  const lines: string[] = [];
  const would = dryRun ? 'would ' : '';
  const moved = plan.pods.filter(({ before, after }) => before !== after);
  const join = verb === 'enroll' ? `${would}join` : `${would}leave`;
  if (moved.length > 0)
    lines.push(`${count(moved.length)} ${moved.length === 1 && !dryRun ? `${join}s` : join} the mesh`);
  const same = plan.pods.filter(({ before, after, why }) => before === after && why === null);
  const already = verb === 'enroll' ? 'in' : 'outside';
  if (same.length > 0 && !(verb === 'unenroll' && wish.waypoint !== null))
    lines.push(`${count(same.length)} ${same.length === 1 ? 'is' : 'are'} ${already} already`);
  const stays = plan.pods.filter(({ why }) => why !== null);
  for (const [why, pods] of byReason(stays)) {
    const stay = `${pods.length === 1 ? 'stays' : 'stay'} ${verb === 'enroll' ? 'outside' : 'in the mesh'}`;
    lines.push(`${paint('note:', 'warn')} ${count(pods.length)} ${stay}, since ${why}: ${named(pods.map(keyOf))}`);
  }
  if (plan.pods.length === 0) lines.push('no pod is there yet; those that come are judged by the same labels');
  if (lost.length > 0) {
    const names = lost.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);
    lines.push(`${paint('warning:', 'warn')} enforced no more for them: ${named(names)}`);
  }
  if (verb === 'unenroll' && moved.length > 0) {
    lines.push(`${paint('warning:', 'warn')} ${lossOfIdentity}`);
  }
  lines.push(`next: ${nextStep(verb, plan, dryRun, isLab, wish)}`);
  return lines.map((line) => `${line}\n`).join('');
}

function nextStep(verb: Verb, plan: Plan, dryRun: boolean, isLab: boolean, wish: Wish): string {
  if (dryRun) return 'the same without --dry-run';
  const namespace = plan.pods[0]?.namespace ?? plan.changes[0]?.namespace ?? '';
  const space = namespace === '' ? '' : ` -n ${namespace}`;
  if (verb === 'unenroll' && wish.waypoint !== null)
    return 'ambientctl waypoint list -A -o wide   # who still uses which';
  if (verb === 'unenroll') return `ambientctl edges${space}   # what is plaintext now`;
  if (wish.waypoint !== null) return `ambientctl waypoint status${space}`;
  const edges = `ambientctl edges${space}   # who talks to whom, and what is encrypted`;
  return isLab ? edges : `ambientctl check, then ${edges}`;
}

function byReason(pods: readonly PodOutcome[]): ReadonlyMap<string, readonly PodOutcome[]> {
  return Map.groupBy(pods, ({ why }) => why ?? '');
}

const lossOfIdentity =
  'their own calls carry no identity now: STRICT mTLS and policies by identity elsewhere refuse them';
const count = (pods: number): string => `${pods} ${pods === 1 ? 'pod' : 'pods'}`;
const shownMax = 5;

function named(names: readonly string[]): string {
  const more = names.length - shownMax;
  return `${names.slice(0, shownMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
