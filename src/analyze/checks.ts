// What should be true of a mesh that runs, and whether it is: what `ambientctl check` and the live page say. Pure: the
// views of the parts come in.
import { version } from '../base/version.ts';
import { formatPlace } from '../config/yaml.ts';
import type { ProxyStateView, ProxyView, StatusView } from '../model/views.ts';
import { type CertRow, isBadCert } from './certificate-rows.ts';

export type CheckOutcome = 'success' | 'warning' | 'error';

/** One check: a contract in `-o json`. `hint` is a page of the documentation with an anchor. */
export interface Check {
  readonly description: string;
  readonly result: CheckOutcome;
  readonly error?: string;
  readonly hint?: string;
}

export interface CheckCategory {
  readonly categoryName: string;
  readonly checks: readonly Check[];
}

/** Pages of the documentation that checks lead to. */
export const hints = {
  controller: 'docs/controller.md#what-it-can-be-asked',
  sources: 'docs/controller.md#when-the-api-server-has-a-bad-day',
  proxies: 'docs/runbook.md#a-proxy-stopped-receiving-configuration',
  overload: 'docs/runbook.md#a-node-proxy-is-overloaded',
  nodes: 'docs/node-proxy.md#what-a-node-needs',
  certificates: 'docs/controller.md#the-authority',
  findings: 'docs/findings/README.md',
  install: 'docs/install.md',
} as const;

/** A check that holds, or does not because of `problem`. */
export function check(
  description: string,
  problem: string | null,
  hint: string,
  result: 'warning' | 'error' = 'error',
): Check {
  if (problem === null) return { description, result: 'success' };
  return { description, result, error: problem, hint };
}

/** True when one of them failed; warnings are no failure. */
export function hasFailed(categories: readonly CheckCategory[]): boolean {
  return categories.some(({ checks }) => checks.some(({ result }) => result === 'error'));
}

/** What follows from the status of the controller; `missing` are nodes whose proxy is not connected. */
export function statusChecks(status: StatusView, missing: readonly string[]): CheckCategory[] {
  const { proxies } = status;
  const named = (bad: (proxy: ProxyView) => boolean): string | null => {
    const names = proxies.filter(bad).map(({ kind, name, node }) => `${kind} ${kind === 'node' ? node : name}`);
    return names.length === 0 ? null : names.join(', ');
  };
  const refused = proxies.flatMap(({ name, types }) =>
    types.flatMap((type) => type.refused.map(({ resource, reason }) => `${name}: ${resource}: ${reason}`)),
  );
  const broken = status.sources.flatMap(({ path, ok, error, note }) =>
    ok ? [] : [`${path}: ${error === null ? (note ?? 'not read') : `${formatPlace(error)}: ${error.message}`}`],
  );
  const otherVersion = status.version === version ? null : `it is ${status.version}, this program is ${version}`;
  const none = proxies.length === 0 ? 'none has connected yet' : null;
  return [
    {
      categoryName: 'controller',
      checks: [
        check('the controller answers', null, hints.controller),
        check('it is of this version', otherVersion, hints.install, 'warning'),
        check('every source has been read', joined(broken), hints.sources),
      ],
    },
    {
      categoryName: 'proxies',
      checks: [
        check('proxies are connected', none, hints.proxies),
        check('every node has one that is connected', joined(missing), hints.proxies),
        check(
          'every proxy is ready',
          named((proxy) => !proxy.ready),
          hints.proxies,
        ),
        check(
          'every proxy is in step',
          named((proxy) => !proxy.inStep),
          hints.proxies,
        ),
        check('no proxy has refused configuration', joined(refused), hints.proxies),
        check(
          'proxies are of the version of the controller',
          named((one) => one.version !== status.version),
          hints.install,
          'warning',
        ),
      ],
    },
    { categoryName: 'nodes', checks: nodeChecks(proxies) },
    { categoryName: 'configuration', checks: configurationChecks(status) },
  ];
}

/** Above this, what passes a proxy waits so long that people notice. */
const loopDelayMaxMs = 50;
const limitShareMax = 0.9;

/** What a proxy says of itself, or why it does not. */
export interface ProxyState {
  /** `node NAME`, `waypoint NAMESPACE/NAME`. */
  readonly who: string;
  readonly state: Pick<ProxyStateView, 'threads' | 'limits'> | null;
  readonly problem: string | null;
}

/** How busy proxies are. */
export function loadChecks(states: readonly ProxyState[]): CheckCategory {
  const late: string[] = [];
  const full: string[] = [];
  const silent: string[] = [];
  for (const { who, state, problem } of states) {
    if (state === null) silent.push(`${who}: ${problem}`);
    const delayMs = Math.max(0, ...(state?.threads ?? []).map(({ loopDelayMs }) => loopDelayMs.p99));
    if (delayMs > loopDelayMaxMs) late.push(`${who}: events wait ${Math.round(delayMs)} ms (p99); under 5 is normal`);
    for (const { limit, value, use } of state?.limits ?? []) {
      if (use !== null && value > 0 && use > value * limitShareMax) full.push(`${who}: ${limit} ${use} of ${value}`);
    }
  }
  return {
    categoryName: 'load',
    checks: [
      check('every proxy answers in time', joined(silent), hints.overload),
      check('no proxy is overloaded', joined(late), hints.overload),
      check('no limit of a proxy is about to be reached', joined(full), hints.overload, 'warning'),
    ],
  };
}

/** One check for what is well, and one for each finding, however many nodes have it. */
function nodeChecks(proxies: readonly ProxyView[]): Check[] {
  const nodes = proxies.filter(({ kind }) => kind === 'node');
  const byId = new Map<string, { readonly check: Check; readonly nodes: string[] }>();
  for (const { node, findings = [] } of nodes) {
    for (const { id, severity, text, fix, set, hint } of findings) {
      if (severity === 'info') continue;
      const known = byId.get(id);
      if (known !== undefined) {
        known.nodes.push(node);
        continue;
      }
      const how = set.length === 0 ? fix : `${fix}: ${set.join(', ')}`;
      byId.set(id, { nodes: [node], check: { description: text, result: severity, error: how, hint } });
    }
  }
  if (byId.size === 0) return [check('nothing on the nodes stands in the way of the mesh', null, hints.nodes)];
  return [...byId.values()].map(({ check: one, nodes: on }) => ({
    ...one,
    error: `on ${on.sort().join(', ')}: ${one.error}`,
  }));
}

function configurationChecks({ issues }: StatusView): Check[] {
  const told = (severity: 'error' | 'warning'): string | null => {
    const found = issues.filter((issue) => issue.severity === severity);
    const [first] = found;
    if (first === undefined) return null;
    const more = found.length > 1 ? `; and ${found.length - 1} more: ambientctl status` : '';
    return `${first.kind} ${first.namespace}/${first.name}: ${first.message} [${first.code}]${more}`;
  };
  return [
    check('all of it can be done', told('error'), hints.findings),
    check('none of it may surprise', told('warning'), hints.findings, 'warning'),
  ];
}

/** What follows from every certificate of the mesh. */
export function certificateChecks(rows: readonly CertRow[]): CheckCategory {
  const told = (bad: (row: CertRow) => boolean): string | null =>
    joined(
      rows
        .filter(bad)
        .map(({ holder, identity, state, note }) => [holder, identity, state, note].filter(Boolean).join(' ')),
    );
  return {
    categoryName: 'certificates',
    checks: [
      check('every certificate is there, in date, and was renewed in time', told(isBadCert), hints.certificates),
      check(
        'roots and issuer are good for a month at least',
        told(({ state }) => state === 'ends soon'),
        hints.certificates,
        'warning',
      ),
    ],
  };
}

function joined(lines: readonly string[]): string | null {
  if (lines.length === 0) return null;
  const shown = lines.slice(0, linesMax);
  return [...shown, ...(lines.length > linesMax ? [`and ${lines.length - linesMax} more`] : [])].join('; ');
}

const linesMax = 5;
