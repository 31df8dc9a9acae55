// What `ambientctl check` and `ambientctl analyze` say of this mesh, as problems for the browser.
import { authorityRows, leafRows } from '../../analyze/certificate-rows.ts';
import { type CheckCategory, certificateChecks, loadChecks, statusChecks } from '../../analyze/checks.ts';
import { formatPlace } from '../../config/yaml.ts';
import type { ProblemRow, ProblemsView } from '../../model/page-views.ts';
import type { ResourceIssue } from '../../model/types.ts';
import type { CertificatesView } from '../../model/views.ts';
import { severities } from './edge-words.ts';
import type { MeshMap } from './mesh-map.ts';
import { missingNodes, type ProxiesSources, silentReplicas } from './proxies-view.ts';

export interface ProblemsSources extends ProxiesSources {
  readonly certificates: CertificatesView;
  readonly map: MeshMap;
  /** What the linter found, as of its last run. */
  readonly findings: readonly ResourceIssue[];
  /** What the linter could not look at, in words. */
  readonly unseen: readonly string[];
}

/** Problems that a browser is told of. */
const problemsMax = 500;
const checkCommand = 'ambientctl check';
const analyzeCommand = 'ambientctl analyze';

/** All problems, errors first. */
export function problemsView(sources: ProblemsSources): ProblemsView {
  const { states, nowMs, findings, map, unseen, replicas } = sources;
  const silent = [...states.values()]
    .filter(({ state }) => state === null)
    .map(({ view }) => `${view.kind}/${view.name}`);
  const checks = checksOf(sources);
  const problems = [...checkProblems(checks), ...findings.map((issue) => issueProblem(issue, map))];
  problems.sort((a, b) => severities[a.severity] - severities[b.severity]);
  return {
    time: new Date(nowMs).toISOString(),
    incomplete: [
      ...silentReplicas(replicas).map((pod) => `controller ${pod} does not answer: its proxies are missing here`),
      ...silent.map((name) => `${name} does not answer: its certificates were not looked at`),
      ...unseen,
    ],
    problems: problems.slice(0, problemsMax),
    leftOut: Math.max(0, problems.length - problemsMax),
    well: checks.flatMap((one) =>
      one.checks.flatMap(({ result, description }) => (result === 'success' ? [description] : [])),
    ),
    commands: [
      { what: 'Whether the mesh is as it should be', command: checkCommand },
      { what: 'What the linter says of its objects', command: analyzeCommand },
    ],
  };
}

/** Objects that are configured wrongly are the linter's to tell, each by itself. */
function checksOf(sources: ProblemsSources): CheckCategory[] {
  const { status, certificates, states, nowMs } = sources;
  const leaves = [...states.values()].flatMap(({ view, state }) =>
    state === null ? [] : leafRows(`${view.kind}/${view.name}`, state.certificates, nowMs),
  );
  const live = statusChecks(status, missingNodes(sources)).filter(
    ({ categoryName }) => categoryName !== 'configuration',
  );
  const load = [...states.values()].map(({ view, state }) => {
    return { who: `${view.kind} ${view.name}`, state, problem: state === null ? 'no answer yet' : null };
  });
  return [...live, loadChecks(load), certificateChecks([...authorityRows(certificates, nowMs), ...leaves])];
}

function checkProblems(categories: readonly CheckCategory[]): ProblemRow[] {
  return categories.flatMap(({ categoryName, checks }) =>
    checks.flatMap(({ description, result, error, hint }): ProblemRow[] => {
      if (result === 'success') return [];
      return [
        {
          ...({ source: 'check', code: null, severity: result, fix: '', place: null, node: null } as const),
          title: `${categoryName}: ${description}`,
          text: error ?? '',
          doc: hint ?? null,
          command: checkCommand,
        },
      ];
    }),
  );
}

function issueProblem(issue: ResourceIssue, map: MeshMap): ProblemRow {
  const { code, severity, kind, namespace, name, message, fix, place, field } = issue;
  const where = place === null ? '' : formatPlace(place);
  const id = namespace === '' ? name : `${namespace}/${name}`;
  return {
    ...({ source: 'analyze', code, severity, fix } as const),
    title: `${kind} ${id}`,
    text: message,
    place: where === '' ? (field === '' ? null : field) : where,
    doc: `docs/findings/${code}.md`,
    command: analyzeCommand,
    // Routes and policies are often called as the service that they are for.
    node: map.nodeOfService(id)?.id ?? null,
  };
}
