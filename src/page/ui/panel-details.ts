// What the panel says of a node or an edge: numbers, where the time goes, weights, routes, policies, endpoints, flows,
// and the commands that print the same.
import type {
  DetailsView,
  FlowRow,
  GraphEdge,
  GraphNode,
  PageNote,
  RefusalView,
  SegmentView,
  SplitView,
  TrafficView,
} from '../../model/page-views.ts';
import { bytesText, clockText, durationText, percentText, plural, rateText } from '../format.ts';
import { trafficText } from '../trouble.ts';
import { type Child, make, type Row, Rows, setText } from './dom.ts';
import { lockOf } from './edge-label.ts';
import { type IconName, icon } from './icons.ts';
import { commandLines, gridTable, noteLine, part } from './parts.ts';

const carried = {
  mtls: 'mutual TLS',
  'same-node': 'within a node',
  plaintext: 'plaintext',
  mixed: 'partly plaintext',
} as const;

/** The line under the title of a node. */
export function aboutNode({ kind, endpoints, waypoint, enrolled }: GraphNode): HTMLElement {
  const words: Child[] = [make('span', {}, kind === 'outside' ? 'all that is outside the mesh' : kind)];
  if (endpoints.total > 0)
    words.push(make('span', {}, `${endpoints.ready} of ${plural(endpoints.total, 'endpoint')} ready`));
  if (waypoint !== null) words.push(make('span', {}, icon('waypoint'), waypoint));
  if (enrolled === 'none') words.push(make('span', { class: 'warn' }, 'outside the mesh'));
  if (enrolled === 'some') words.push(make('span', { class: 'warn' }, 'partly outside the mesh'));
  return make('span', { class: 'about' }, ...words);
}

/** The line under the title of an edge. */
export function aboutEdge({ transport, waypoint }: GraphEdge): HTMLElement {
  return make(
    'span',
    { class: 'about' },
    make('span', {}, lockOf(transport), carried[transport]),
    waypoint === null ? null : make('span', {}, icon('waypoint'), `through ${waypoint}`),
  );
}

export interface Told {
  readonly traffic: TrafficView | null;
  readonly notes: readonly PageNote[];
  readonly refusals: readonly RefusalView[];
  readonly details: DetailsView | null;
  readonly node: GraphNode | null;
}

/** What comes before the neighbours: notes, numbers, where the time goes, weights. */
export function detailParts({ traffic, notes, refusals, details, node }: Told): Child[] {
  const said = new Set(notes.map(({ text }) => text));
  const more = refusals.filter(({ text }) => !said.has(text));
  const lines = [...notes, ...more.map(({ text }) => ({ severity: 'error', text }) as const)];
  return [
    lines.length === 0 ? null : make('div', { class: 'part' }, ...lines.map(noteLine)),
    traffic === null ? null : make('div', { class: 'part' }, figures(traffic)),
    details === null ? null : segmentsPart(details, said),
    part(
      'Weights, asked for and seen',
      ...(node?.splits ?? []).flatMap((split) => [
        make('p', { class: 'caption mono' }, split.route),
        sharesOf(split.backends),
      ]),
    ),
  ];
}

function figures(traffic: TrafficView): HTMLElement {
  const { success, p50Ms, p99Ms, refusedPerS, failedPerS, openConnections, bytesPerS, secured } = traffic;
  const rows: (readonly [string, string, string])[] = [
    [traffic.requestsPerS > 0 ? 'Requests' : 'Traffic', trafficText(traffic), ''],
    ['Success', percentText(success), success !== null && success < 0.99 ? 'bad' : ''],
    ['p50', durationText(p50Ms), ''],
    ['p99', durationText(p99Ms), ''],
    ['Bytes', `${bytesText(bytesPerS)}/s`, ''],
    ['Open', String(openConnections), ''],
    ['Encrypted', percentText(secured), secured !== null && secured < 1 ? 'warn' : ''],
  ];
  if (refusedPerS > 0) rows.push(['Refused', rateText(refusedPerS), 'bad']);
  else rows.push(['Failed', rateText(failedPerS), failedPerS > 0 ? 'bad' : '']);
  return make(
    'dl',
    { class: 'figures' },
    ...rows.map(([name, value, tone]) => make('div', {}, make('dt', {}, name), make('dd', { class: tone }, value))),
  );
}

function segmentsPart({ segments, slowest, traffic }: DetailsView, said: ReadonlySet<string>): HTMLElement | null {
  if (segments.length === 0) return null;
  const longest = Math.max(sumOf(segments, 'p50Ms'), sumOf(segments, 'p99Ms'), 0.001);
  const rows = segments.map(({ name, p50Ms, p99Ms }, at): Child[] => [
    make('span', {}, chip(at), name),
    durationText(p50Ms),
    durationText(p99Ms),
  ]);
  return part(
    'Where the time goes',
    make(
      'div',
      { class: 'times' },
      ...(['p50Ms', 'p99Ms'] as const).flatMap((field) => track(segments, field, longest, traffic[field])),
    ),
    gridTable(['', 'p50', 'p99'], rows, [1, 2]),
    slowest === null || said.has(slowest) ? null : make('p', { class: 'lead' }, slowest),
  );
}

function chip(at: number): HTMLElement {
  return make('span', { class: 'chip', data: { part: String(at + 1) } }, String(at + 1));
}

/** A bar of the five parts, the longer of both over the whole width; their quantiles do not add up to the whole's. */
function track(
  segments: readonly SegmentView[],
  field: 'p50Ms' | 'p99Ms',
  longest: number,
  wholeMs: number | null,
): HTMLElement[] {
  const bar = make('div', { class: 'track', attributes: { 'aria-hidden': 'true' } });
  segments.forEach((segment, at) => {
    const share = (segment[field] ?? 0) / longest;
    if (share <= 0) return;
    const piece = make('i', {
      data: { part: String(at + 1) },
      title: `${segment.name} ${durationText(segment[field])}`,
    });
    piece.style.width = `calc(${share * 100}% - 1px)`;
    if (share > 0.07) piece.textContent = String(at + 1);
    bar.append(piece);
  });
  const name = field === 'p50Ms' ? 'p50' : 'p99';
  return [make('span', { class: 'soft' }, name), bar, make('b', {}, durationText(wholeMs))];
}

function sumOf(segments: readonly SegmentView[], field: 'p50Ms' | 'p99Ms'): number {
  return segments.reduce((sum, segment) => sum + (segment[field] ?? 0), 0);
}

/** What weights ask for as a mark, what came of them as a bar. */
function sharesOf(backends: SplitView['backends']): HTMLElement {
  const rows = backends.map(({ name, configured, actual }) => {
    const bar = make('i');
    bar.style.width = `${(actual ?? 0) * 100}%`;
    const mark = make('b', { title: `asked for: ${percentText(configured)}` });
    mark.style.left = `calc(${configured * 100}% - 1px)`;
    const text = actual === null ? 'nothing seen' : `${percentText(actual)} of ${percentText(configured)}`;
    return make(
      'div',
      {},
      make('div', { class: 'share-head' }, make('span', {}, name), make('b', {}, text)),
      make('div', { class: 'share-bar', attributes: { 'aria-hidden': 'true' } }, bar, mark),
    );
  });
  return make('div', { class: 'shares' }, ...rows);
}

/** What comes after the neighbours: routes, policies, endpoints, commands. */
export function partsAfter({ routes, policies, endpoints, commands }: DetailsView): Child[] {
  return [
    part(
      'Routes',
      gridTable(
        ['', 'rate', 'success', 'p99'],
        routes.map(({ route, requestsPerS, success, p99Ms, problems }): Child[] => [
          make('span', {}, make('code', {}, route), ...problems.map((text) => make('div', { class: 'bad' }, text))),
          rateText(requestsPerS),
          percentText(success),
          durationText(p99Ms),
        ]),
        [1, 2, 3],
      ),
      ...routes.filter(({ backends }) => backends.length > 1).map(({ backends }) => sharesOf(backends)),
    ),
    part(
      'Policies that apply',
      gridTable(
        ['', 'for', 'asked at', 'refused'],
        policies.map(({ kind, name, action, dryRun, layer, scope, refused }): Child[] => [
          make(
            'span',
            {},
            make('b', {}, `${action}${dryRun ? ' (dry run)' : ''} `),
            `${kind} `,
            make('code', {}, name),
          ),
          scope,
          layer === 'L7' ? 'waypoint' : 'node proxy',
          make('span', { class: refused > 0 ? 'bad' : '' }, String(refused)),
        ]),
        [3],
      ),
    ),
    part(
      'Endpoints',
      gridTable(
        ['', 'address', 'on', 'state'],
        endpoints.map(({ workload, address, node, enrolled, state, reason }): Child[] => [
          workload,
          make('code', {}, address),
          node,
          make(
            'span',
            { class: state === 'ready' ? '' : 'warn' },
            `${state}${enrolled ? '' : ', outside the mesh'}`,
            reason === null ? null : make('div', {}, reason),
          ),
        ]),
      ),
    ),
    part('The same in a terminal', ...commandLines(commands)),
  ];
}

const verdicts: Readonly<Record<FlowRow['verdict'], readonly [IconName, string]>> = {
  forwarded: ['check', 'good'],
  refused: ['refused', 'bad'],
  failed: ['error', 'warn'],
};

/** Recent flows, which stay unfolded and in place while others come. */
export class FlowList {
  readonly element: HTMLElement;
  readonly #rows: Rows<FlowRow>;

  constructor() {
    const list = make('div');
    this.element = make('section', { class: 'part' }, make('h3', {}, 'Recent flows'), list);
    this.#rows = new Rows(list, ({ time, line }) => `${time} ${line}`, flowRow);
  }

  /** Shows these, the newest first; hides itself without any. */
  show(flows: readonly FlowRow[]): void {
    this.element.hidden = flows.length === 0;
    this.#rows.show(flows);
  }
}

function flowRow(first: FlowRow): Row<FlowRow> {
  const [name, tone] = verdicts[first.verdict];
  const line = make('code', {}, first.line);
  const json = make('pre');
  const summary = make('summary', { title: clockText(first.time, Date.now()) });
  summary.append(make('span', { class: tone }, icon(name, first.verdict)), line);
  const element = make('details', { class: 'flow', data: { verdict: first.verdict } }, summary, json);
  element.addEventListener('toggle', () => setText(json, element.open ? first.json : ''));
  return { element, update: () => {} };
}
