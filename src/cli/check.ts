// `ambientctl check`: is the mesh as it should be, and what to do where it is not. Everything is asked of the
// controller; `--pre` asks the cluster alone, before anything is installed.
import { messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { formatPlace } from '../config/yaml.ts';
import type { ProxyStateView, ProxyView, StatusView } from '../model/views.ts';
import { askProxies, connectedProxies, type ProxyAnswer } from './ask-proxies.ts';
import { type CertRow, collectCerts, isBadCert } from './certs.ts';
import { type Check, type CheckCategory, check as checkOf, checkResult, hasFailed } from './check-report.ts';
import { type Command, type CommandContext, durationOption, flagOption } from './command.ts';
import type { Mesh } from './mesh.ts';
import { pause } from './redraw.ts';
import { adminView, meshOf } from './which-mesh.ts';

const againEveryMs = 1_000;
const hints = {
  controller: 'docs/controller.md#what-it-can-be-asked',
  sources: 'docs/controller.md#when-the-api-server-has-a-bad-day',
  proxies: 'docs/runbook.md#a-proxy-stopped-receiving-configuration',
  overload: 'docs/runbook.md#a-node-proxy-is-overloaded',
  nodes: 'docs/node-proxy.md#what-a-node-needs',
  certificates: 'docs/controller.md#the-authority',
  findings: 'docs/findings/README.md',
  install: 'docs/install.md',
} as const;

/** Exit 1 when a check failed. With `--wait` it is made again until all hold, or the time is over. */
export const check: Command = async (context) => {
  if (flagOption(context, 'pre')) {
    const { preChecks } = await import('./check-pre.ts');
    return checkResult(await preChecks(context));
  }
  const deadlineMs = Date.now() + durationOption(context, 'wait', 0);
  const interruption = context.io.interruption();
  for (let said = ''; ; ) {
    const categories = await liveChecks(context);
    if (!hasFailed(categories) || Date.now() >= deadlineMs) return checkResult(categories);
    const waiting = waitingText(categories);
    if (waiting !== said) context.io.stderr.write(waiting);
    said = waiting;
    if (!(await pause(againEveryMs, interruption))) return checkResult(categories);
  }
};

async function liveChecks(context: CommandContext): Promise<CheckCategory[]> {
  const mesh = await meshOf(context);
  let status: StatusView;
  try {
    status = (await adminView(mesh, 'controller', '/status', 'proxies')) as StatusView;
  } catch (error) {
    // Nothing else can be asked.
    return [
      { categoryName: 'controller', checks: [checkOf('the controller answers', messageOf(error), hints.controller)] },
    ];
  }
  const states = askProxies<ProxyStateView>(mesh, await connectedProxies(mesh), '/state');
  return [
    ...statusChecks(status, await missingNodes(mesh, status)),
    { categoryName: 'load', checks: loadChecks(await states) },
    certificateChecks(await collectCerts(mesh, Date.now())),
  ];
}

/** Above this, what passes a proxy waits so long that people notice. */
const loopDelayMaxMs = 50;
const limitShareMax = 0.9;

/** What proxies say of how busy they are. */
export function loadChecks(states: readonly ProxyAnswer<ProxyStateView>[]): Check[] {
  const late: string[] = [];
  const full: string[] = [];
  const silent: string[] = [];
  for (const { proxy, answer, problem } of states) {
    const who = `${proxy.kind} ${proxy.kind === 'node' ? proxy.node : proxy.name}`;
    if (answer === null) silent.push(`${who}: ${problem}`);
    const delayMs = Math.max(0, ...(answer?.threads ?? []).map(({ loopDelayMs }) => loopDelayMs.p99));
    if (delayMs > loopDelayMaxMs) late.push(`${who}: events wait ${Math.round(delayMs)} ms (p99); under 5 is normal`);
    for (const { limit, value, use } of answer?.limits ?? []) {
      if (use !== null && value > 0 && use > value * limitShareMax) full.push(`${who}: ${limit} ${use} of ${value}`);
    }
  }
  return [
    checkOf('every proxy answers in time', joined(silent), hints.overload),
    checkOf('no proxy is overloaded', joined(late), hints.overload),
    checkOf('no limit of a proxy is about to be reached', joined(full), hints.overload, 'warning'),
  ];
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
        checkOf('the controller answers', null, hints.controller),
        checkOf('it is of this version', otherVersion, hints.install, 'warning'),
        checkOf('every source has been read', joined(broken), hints.sources),
      ],
    },
    {
      categoryName: 'proxies',
      checks: [
        checkOf('proxies are connected', none, hints.proxies),
        checkOf('every node has one that is connected', joined(missing), hints.proxies),
        checkOf(
          'every proxy is ready',
          named((proxy) => !proxy.ready),
          hints.proxies,
        ),
        checkOf(
          'every proxy is in step',
          named((proxy) => !proxy.inStep),
          hints.proxies,
        ),
        checkOf('no proxy has refused configuration', joined(refused), hints.proxies),
        checkOf(
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
  if (byId.size === 0) return [checkOf('nothing on the nodes stands in the way of the mesh', null, hints.nodes)];
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
    checkOf('all of it can be done', told('error'), hints.findings),
    checkOf('none of it may surprise', told('warning'), hints.findings, 'warning'),
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
      checkOf('every certificate is there, in date, and was renewed in time', told(isBadCert), hints.certificates),
      checkOf(
        'roots and issuer are good for a month at least',
        told(({ state }) => state === 'ends soon'),
        hints.certificates,
        'warning',
      ),
    ],
  };
}

/** Nodes that should have a proxy, by the mesh itself. */
async function missingNodes(mesh: Mesh, { proxies }: StatusView): Promise<string[]> {
  const there = new Set(proxies.filter(({ kind, ready }) => kind === 'node' && ready).map(({ node }) => node));
  return (await mesh.nodes()).filter((node) => !there.has(node));
}

function joined(lines: readonly string[]): string | null {
  if (lines.length === 0) return null;
  const shown = lines.slice(0, linesMax);
  return [...shown, ...(lines.length > linesMax ? [`and ${lines.length - linesMax} more`] : [])].join('; ');
}

const linesMax = 5;

function waitingText(categories: readonly CheckCategory[]): string {
  const first = categories.flatMap(({ checks }) => checks).find(({ result }) => result === 'error');
  return `- waiting: ${first?.description}: ${first?.error}\n`;
}
