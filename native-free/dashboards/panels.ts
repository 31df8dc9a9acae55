// A small language for Grafana dashboards: what a panel asks, says and means; where it stands follows by itself.

/** One question to Prometheus, and what its series are called. */
export type Query = readonly [expr: string, legend: string];

export interface Panel {
  readonly title: string;
  /** What normal looks like, for whoever has never seen the panel. */
  readonly description: string;
  readonly unit: 'short' | 'reqps' | 'cps' | 'Bps' | 'bytes' | 's' | 'ms' | 'percentunit' | 'dateTimeAsIso' | 'none';
  readonly queries: readonly Query[];
  readonly kind?: 'timeseries' | 'stat';
  /** True for what a mesh without trouble, or without that kind of traffic, has no series of. */
  readonly quiet?: boolean;
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly query: string;
}

export interface Dashboard {
  /** Of the file, and of its address in Grafana. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

const columns = 24;
const panelHeight = 8;
const statHeight = 4;
const schemaVersion = 39;
const datasource = { type: 'prometheus', uid: '${datasource}' } as const;

/** The JSON that Grafana imports. */
export function dashboardJson(dashboard: Dashboard): object {
  const panels: object[] = [];
  let y = 0;
  for (const row of dashboard.rows) {
    panels.push({
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: columns, h: 1 },
      panels: [],
    });
    y++;
    const width = columns / row.panels.length;
    const height = row.panels.every(({ kind }) => kind === 'stat') ? statHeight : panelHeight;
    for (const [at, panel] of row.panels.entries()) {
      panels.push(panelJson(panel, { x: Math.floor(at * width), y, w: Math.floor(width), h: height }));
    }
    y += height;
  }
  return {
    uid: `ambient-${dashboard.name}`,
    title: dashboard.title,
    description: dashboard.description,
    tags: ['ambient'],
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    schemaVersion,
    time: { from: 'now-1h', to: 'now' },
    templating: { list: [datasourceVariable, ...dashboard.variables.map(variableJson)] },
    panels: panels.map((panel, at) => ({ id: at + 1, ...panel })),
  };
}

function panelJson({ title, description, unit, queries, kind = 'timeseries' }: Panel, gridPos: object): object {
  const shown =
    kind === 'stat'
      ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'value' }
      : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } };
  return {
    type: kind,
    title,
    description,
    datasource,
    gridPos,
    fieldConfig: { defaults: { unit, min: unit === 'dateTimeAsIso' ? undefined : 0 }, overrides: [] },
    options: shown,
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource,
      expr,
      legendFormat,
      exemplar: kind === 'timeseries',
    })),
  };
}

const datasourceVariable = { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' };

function variableJson({ name, label, query }: Variable): object {
  const all = { includeAll: true, multi: true, allValue: '.*', current: { text: 'All', value: '$__all' } };
  return { name, label, type: 'query', datasource, query, refresh: 2, sort: 1, ...all };
}
