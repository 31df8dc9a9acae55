// What stands around the nodes: lanes, the legend, the buttons in the corner, and what is said when there is nothing.

import { plural } from '../format.ts';
import type { LaneBox } from '../geometry.ts';
import type { App } from './app.ts';
import { make, type Row, Section, setAttribute, setText } from './dom.ts';
import { type IconName, icon } from './icons.ts';
import { commandLines } from './parts.ts';

export interface ShownLane {
  readonly box: LaneBox;
  readonly services: number;
}

/** A lane with its namespace as a button that picks it. */
export function laneRow({ box }: ShownLane, onPick: (name: string) => void): Row<ShownLane> {
  const name = make('b', {}, box.name === '' ? 'outside the mesh' : box.name);
  const count = make('span');
  const button = make('button', { title: 'Show this namespace alone', onClick: () => onPick(box.name) }, name, count);
  button.tabIndex = -1;
  const element = make('div', { class: 'lane' }, button);
  return {
    element,
    update({ box: { x, y, width, height }, services }) {
      setText(count, box.name === '' ? '' : plural(services, 'service'));
      const place = `translate(${x}px, ${y}px)`;
      if (element.style.transform !== place) element.style.transform = place;
      setAttribute(element, 'data-size', `${width} ${height}`);
      if (element.style.width !== `${width}px`) element.style.width = `${width}px`;
      if (element.style.height !== `${height}px`) element.style.height = `${height}px`;
    },
  };
}

export interface CornerActions {
  readonly zoomBy: (factor: number) => void;
  readonly fit: () => void;
  readonly tidy: () => void;
}

const zoomFactor = 1.3;

/** Zoom, fit, and laying out afresh. */
export function corner({ zoomBy, fit, tidy }: CornerActions): HTMLElement {
  const button = (name: IconName, label: string, onClick: () => void): HTMLElement =>
    make('button', { class: 'tool', label, title: label, onClick }, icon(name));
  return make(
    'div',
    { class: 'corner', attributes: { role: 'group', 'aria-label': 'Zoom' } },
    make('div', { class: 'group' }, button('tidy', 'Lay out afresh', tidy)),
    make(
      'div',
      { class: 'group' },
      button('minus', 'Smaller (-)', () => zoomBy(1 / zoomFactor)),
      button('fit', 'Fit everything into the window (0)', fit),
      button('plus', 'Larger (+)', () => zoomBy(zoomFactor)),
    ),
  );
}

const signs: readonly (readonly [IconName, string])[] = [
  ['lock', 'Mutual TLS'],
  ['node', 'Within a node, between enrolled pods'],
  ['lock-open', 'Plaintext, dashed'],
  ['lock-mixed', 'Partly plaintext'],
  ['refused', 'Refused: red, with a bar where it ends'],
  ['waypoint', 'Behind a waypoint'],
  ['ejected', 'An endpoint is ejected'],
];
const keys: readonly (readonly [string, string])[] = [
  ['/', 'Search'],
  ['← → ↑ ↓', 'To neighbours; with Shift to edges'],
  ['Enter', 'Open; Esc closes'],
  ['+ − 0', 'Zoom, fit'],
  ['T L P', 'Trouble, list, pause'],
];

/** What the signs and keys mean, folded away. */
export function legend(): HTMLElement {
  const rows = [
    ...signs.map(([name, text]) => [make('dt', {}, icon(name)), make('dd', {}, text)]),
    ...keys.map(([key, text]) => [make('dt', {}, make('kbd', {}, key)), make('dd', {}, text)]),
  ];
  return make('details', { class: 'legend' }, make('summary', {}, 'Signs and keys'), make('dl', {}, ...rows.flat()));
}

/** Said where no node is to be seen: what is asked for hides all there is, or there is nothing. */
export class EmptyNote {
  readonly #section = new Section(make('div', { class: 'empty', attributes: { role: 'status' } }));
  readonly #onClear: () => void;

  constructor(app: App) {
    this.#onClear = () => app.look({ search: '', namespace: '', troubleOnly: false, camera: null });
  }

  get element(): HTMLElement {
    return this.#section.element;
  }

  /** How many nodes are to be seen, of how many. */
  show(visible: number, all: number): void {
    const what = visible > 0 ? 'something' : all > 0 ? 'hidden' : 'nothing';
    this.#section.show(what, () => {
      if (what === 'something') return [];
      const clear = make('button', { class: 'tool framed', onClick: this.#onClear }, 'Show everything');
      if (what === 'hidden') return ['Nothing here fits what is asked for.', clear];
      return [
        make('b', {}, 'There is no service and no pod in this cluster yet.'),
        ...commandLines([
          { what: 'They are shown as they come. Into the mesh they get by', command: 'ambientctl enroll NAMESPACE' },
        ]),
      ];
    });
  }
}
