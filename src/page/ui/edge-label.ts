// The label of an edge: a button with how it is carried, how much, how well, how quickly, and why not.
import type { GraphEdge } from '../../model/page-views.ts';
import { durationText, percentText } from '../format.ts';
import { edgeSentence, edgeTrouble, stateOfEdge, trafficText } from '../trouble.ts';
import { make, type Row, setAttribute, setText } from './dom.ts';
import { type IconName, icon } from './icons.ts';

export const labelSize = { width: 156, height: 24 } as const;
export const troubledLabelSize = { width: 168, height: 40 } as const;

const locks: Readonly<Record<GraphEdge['transport'], IconName>> = {
  mtls: 'lock',
  'same-node': 'node',
  plaintext: 'lock-open',
  mixed: 'lock-mixed',
};
const lockTitles: Readonly<Record<GraphEdge['transport'], string>> = {
  mtls: 'mutual TLS',
  'same-node': 'within a node, between enrolled pods',
  plaintext: 'plaintext: nothing is encrypted',
  mixed: 'partly plaintext',
};

/** The drawing for how an edge is carried. */
export function lockOf(transport: GraphEdge['transport']): HTMLElement {
  return make('span', { class: 'lock', title: lockTitles[transport] }, icon(locks[transport], lockTitles[transport]));
}

export interface ShownEdge {
  readonly edge: GraphEdge;
  readonly isFaded: boolean;
  readonly isOpen: boolean;
}

/** A label that is made once and changed where its edge did. */
export function edgeLabel(first: ShownEdge): Row<ShownEdge> {
  const { edge } = first;
  const lock = make('span');
  const rate = make('b');
  const success = make('span');
  const p99 = make('span');
  const why = make('span', { class: 'line' });
  const line = make('span', { class: 'line' }, lock, rate, success, p99);
  const data = { edge: edge.id, from: edge.from, to: edge.to };
  const element = make('button', { class: 'edge', data }, line, why);
  element.tabIndex = -1;
  let transport = '';
  let before: GraphEdge | null = null;
  return {
    element,
    update({ edge, isFaded, isOpen }) {
      setAttribute(element, 'data-faded', isFaded ? '' : null);
      setAttribute(element, 'aria-expanded', String(isOpen));
      if (before === edge) return;
      before = edge;
      const trouble = edgeTrouble(edge);
      setAttribute(element, 'data-state', stateOfEdge(edge));
      setAttribute(element, 'data-lines', trouble === '' ? '1' : '2');
      setAttribute(element, 'aria-label', edgeSentence(edge));
      setAttribute(element, 'title', [`${edge.from} → ${edge.to}`, ...edge.notes.map(({ text }) => text)].join('\n'));
      if (transport !== edge.transport) lock.replaceChildren(lockOf(edge.transport));
      transport = edge.transport;
      setAttribute(element, 'data-transport', transport);
      setText(rate, trafficText(edge));
      setText(success, edge.success === null ? '' : percentText(edge.success));
      setText(p99, edge.p99Ms === null ? '' : durationText(edge.p99Ms));
      setText(why, trouble);
      why.hidden = trouble === '';
    },
  };
}
