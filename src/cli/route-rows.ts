// The table of `ambientctl config routes`: one line per match of each port of each service, in the order in which they
// are tried.
import { formatPlace } from '../config/yaml.ts';
import type {
  HeaderEdits,
  PathMatch,
  PortRoutes,
  RouteMatch,
  RouteRule,
  ServiceRoutes,
  ValueMatch,
  WeightedBackend,
} from '../model/route-types.ts';
import { type TableView, table } from './table.ts';

interface RouteRow {
  readonly service: string;
  readonly namespace: string;
  readonly port: PortRoutes;
  readonly match: RouteMatch;
  readonly rule: RouteRule;
}

/** NAMESPACE, SERVICE, PORT, MATCH, ACTION, TIMEOUT, RETRIES, FROM. */
export function routeTable(routes: readonly ServiceRoutes[], view: TableView): string {
  return table(
    [
      { header: 'NAMESPACE', value: (row) => row.namespace },
      { header: 'SERVICE', value: (row) => row.service },
      { header: 'PORT', value: (row) => row.port.port, right: true },
      { header: 'MATCH', value: (row) => matchText(row.match) },
      {
        header: 'ACTION',
        value: (row) => actionText(row.rule),
        tone: (row) => (row.rule.action.kind === 'invalid' ? 'bad' : null),
      },
      { header: 'TIMEOUT', value: (row) => durationText(row.rule.timeouts.requestMs), right: true },
      { header: 'RETRIES', value: (row) => retryText(row.rule), right: true },
      { header: 'FROM', value: (row) => originText(row.rule) },
      { header: 'PROTOCOL', wide: true, value: (row) => row.port.protocol },
      { header: 'FILTERS', wide: true, value: (row) => filterText(row.rule) },
      { header: 'PLACE', wide: true, value: (row) => placeText(row.rule) },
    ],
    rowsOf(routes),
    view,
    'no service has routes: each request goes to the service that it is for',
  );
}

/** A match of a service's routes and what becomes of it, in words. Part of `why TO -o json`. */
export interface RuleSummary {
  readonly port: number;
  readonly match: string;
  readonly action: string;
  /** 0 for none. */
  readonly timeoutMs: number;
  readonly retries: string;
  /** `HTTPRoute shop/cart#0`. */
  readonly from: string;
}

/** What is attached to a service, in the order in which it is tried; [] where nothing is. */
export function ruleSummaries(routes: ServiceRoutes): RuleSummary[] {
  return rowsOf([routes]).flatMap(({ port, match, rule }) => {
    if (rule.origin.kind === 'Service') return [];
    const { requestMs: timeoutMs } = rule.timeouts;
    const words = { match: matchText(match), action: actionText(rule), from: originText(rule) };
    return [{ port: port.port, ...words, timeoutMs, retries: retryText(rule) }];
  });
}

function rowsOf(routes: readonly ServiceRoutes[]): RouteRow[] {
  const inOrder = routes.toSorted((a, b) => (a.service < b.service ? -1 : 1));
  return inOrder.flatMap(({ service: key, ports }) => {
    const slash = key.indexOf('/');
    const [namespace, hostname] = [key.slice(0, slash), key.slice(slash + 1)];
    const service = hostname.split('.')[0] ?? hostname;
    return ports.flatMap((port) =>
      port.entries.map(({ match, rule }) => ({ service, namespace, port, match, rule: port.rules[rule]! })),
    );
  });
}

/** `GET /v1/*, x-user = jason`; `*` for a match that asks nothing. */
export function matchText(match: RouteMatch): string {
  const parts = [
    [match.method === null ? '' : valueText(match.method), pathText(match.path)]
      .filter((part) => part !== '')
      .join(' '),
    ...match.headers.map((one) => namedText(one.name, one.match, one.invert)),
    ...match.query.map((one) => namedText(`?${one.name}`, one.match, one.invert)),
    ...match.claims.map((one) => namedText(`claim ${one.path.join('.')}`, one.match, one.invert)),
    match.authority === null ? '' : `host ${valueText(match.authority)}`,
    match.scheme === null ? '' : `scheme ${valueText(match.scheme)}`,
    match.sourceNamespace === '' ? '' : `from namespace ${match.sourceNamespace}`,
    ...Object.entries(match.sourceLabels).map(([key, value]) => `from ${key}=${value}`),
  ].filter((part) => part !== '');
  return parts.length === 0 ? '*' : parts.join(', ');
}

function pathText(path: PathMatch | null): string {
  if (path === null) return '';
  const value = path.ignoreCase ? `${path.value} (any case)` : path.value;
  if (path.kind === 'exact') return value;
  if (path.kind === 'regex') return `~${value}`;
  return path.kind === 'segments' ? `${value.replace(/\/$/, '')}/*` : `${value}*`;
}

function valueText(match: ValueMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.value;
    case 'prefix':
      return `${match.value}*`;
    case 'suffix':
      return `*${match.value}`;
    case 'regex':
      return `~${match.value}`;
    case 'present':
      return 'any';
  }
}

function namedText(name: string, match: ValueMatch, isInverted: boolean): string {
  if (match.kind === 'present') return isInverted ? `no ${name}` : name;
  return `${name} ${isInverted ? '!=' : '='} ${valueText(match)}`;
}

function actionText({ action }: RouteRule): string {
  switch (action.kind) {
    case 'forward':
      return action.backends.map((one) => backendText(one, action.backends.length > 1)).join(', ');
    case 'redirect':
      return `redirect ${action.redirect.status}`;
    case 'direct':
      return `answer ${action.status}`;
    case 'invalid':
      return `${action.status}: ${action.reason}`;
  }
}

function backendText(backend: WeightedBackend, withWeight: boolean): string {
  const [namespace = '', hostname = ''] = backend.service.split('/');
  const subset = backend.subset === '' ? '' : `/${backend.subset}`;
  const weight = withWeight ? ` x${backend.weight}` : '';
  const invalid = backend.invalid === null ? '' : ` (${backend.invalid.status})`;
  return `${hostname.split('.')[0]}.${namespace}:${backend.port}${subset}${weight}${invalid}`;
}

function originText({ origin }: RouteRule): string {
  if (origin.kind === 'Service') return 'Service';
  return `${origin.kind} ${origin.namespace}/${origin.name}, rule ${origin.rule}`;
}

function retryText({ retry }: RouteRule): string {
  if (retry.attempts === 0) return 'none';
  return retry.from === 'default' ? `${retry.attempts} (default)` : String(retry.attempts);
}

function filterText(rule: RouteRule): string {
  const { rewrite, mirrors, cors, fault, rateLimits } = rule;
  const isEdited = (edits: HeaderEdits): boolean => edits.set.length + edits.add.length + edits.remove.length > 0;
  const backends = rule.action.kind === 'forward' ? rule.action.backends : [];
  const own = backends.flatMap((one) => one.filters ?? []);
  const edits = [rule, ...backends].flatMap((one) => [one.requestHeaders, one.responseHeaders]);
  const names = [
    edits.some(isEdited) ? 'headers' : '',
    own.some((one) => one.redirect !== null) ? 'redirect' : '',
    rewrite === null && own.every((one) => one.rewrite === null) ? '' : 'rewrite',
    mirrors.length + own.flatMap((one) => one.mirrors).length === 0 ? '' : 'mirror',
    cors === null && own.every((one) => one.cors === null) ? '' : 'cors',
    fault === null ? '' : 'fault',
    rateLimits.length === 0 ? '' : 'limit',
  ];
  return names.filter((name) => name !== '').join(',');
}

function durationText(ms: number): string | null {
  return ms === 0 ? null : ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

function placeText({ origin: { place } }: RouteRule): string | null {
  return place === null ? null : formatPlace(place);
}
