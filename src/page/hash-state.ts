// What is looked at, as the part of the address behind `#`, so that a link shows a colleague the same.

export const viewNames = ['graph', 'list', 'proxies', 'problems'] as const;
export type ViewName = (typeof viewNames)[number];

/** What a panel is open for. */
export interface Selection {
  readonly kind: 'node' | 'edge' | 'proxy';
  readonly id: string;
}

/** The middle of the window in the graph's own units, and how large these are drawn. */
export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export interface PageState {
  readonly view: ViewName;
  readonly selection: Selection | null;
  /** Part of a name; '' for all. */
  readonly search: string;
  /** '' for all. */
  readonly namespace: string;
  readonly troubleOnly: boolean;
  /** Null: everything fits into the window. */
  readonly camera: Camera | null;
}

export const startState: PageState = {
  view: 'graph',
  selection: null,
  search: '',
  namespace: '',
  troubleOnly: false,
  camera: null,
};

export const zoomMin = 0.08;
export const zoomMax = 2.5;
const selectionKinds = ['node', 'edge', 'proxy'] as const;
const textMax = 300;

/** `#/graph?node=shop/cart&q=cat`, `''` for the start. Reads back as what it was made of. */
export function hashOf(state: PageState): string {
  const words: string[] = [];
  const add = (name: string, value: string): void => {
    // What need not be escaped is left readable: a link is read by people.
    if (value !== '') words.push(`${name}=${encodeURIComponent(value).replaceAll('%2F', '/').replaceAll('%3E', '>')}`);
  };
  if (state.selection !== null) add(state.selection.kind, state.selection.id);
  add('q', state.search);
  add('ns', state.namespace);
  if (state.troubleOnly) add('trouble', '1');
  if (state.camera !== null) {
    const { x, y, zoom } = state.camera;
    add('at', [Math.round(x), Math.round(y), Number(zoom.toFixed(3))].join('_'));
  }
  if (words.length === 0 && state.view === 'graph') return '';
  return `#/${state.view}${words.length > 0 ? `?${words.join('&')}` : ''}`;
}

/** What an address asks for; what cannot be understood counts as not said. */
export function stateOf(hash: string): PageState {
  const [, name = '', query = ''] = /^#\/?([a-z]*)(?:\?(.*))?$/s.exec(hash) ?? [];
  const values = new Map<string, string>();
  for (const word of query.split('&')) {
    const at = word.indexOf('=');
    if (at > 0) values.set(word.slice(0, at), decoded(word.slice(at + 1)).slice(0, textMax));
  }
  const kind = selectionKinds.find((each) => (values.get(each) ?? '') !== '');
  return {
    view: viewNames.find((each) => each === name) ?? 'graph',
    selection: kind === undefined ? null : { kind, id: values.get(kind) ?? '' },
    search: values.get('q') ?? '',
    namespace: values.get('ns') ?? '',
    troubleOnly: values.get('trouble') === '1',
    camera: cameraOf(values.get('at') ?? ''),
  };
}

function cameraOf(text: string): Camera | null {
  const numbers = /^(-?\d{1,7})_(-?\d{1,7})_(\d{1,2}(?:\.\d{1,3})?)$/.exec(text)?.slice(1).map(Number);
  if (numbers === undefined) return null;
  const [x = 0, y = 0, zoom = 1] = numbers;
  return { x, y, zoom: Math.min(zoomMax, Math.max(zoomMin, zoom)) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return ''; // a link that was cut off in the middle of a character
  }
}
