// A node of the graph: a button with its name, what comes to it, and what is the matter with it.
import type { GraphNode } from '../../model/page-views.ts';
import { durationText, percentText } from '../format.ts';
import { nodeSentence, stateOfNode, trafficText, troubleWords } from '../trouble.ts';
import { make, type Row, setAttribute, setText } from './dom.ts';
import { icon } from './icons.ts';

export interface ShownNode {
  readonly node: GraphNode;
  readonly isFaded: boolean;
  readonly isOpen: boolean;
}

/** A card that is made once and changed where its node did. Where it stands is none of its business. */
export function nodeCard(first: ShownNode): Row<ShownNode> {
  const name = make('span', { class: 'name' }, first.node.name);
  const marks = make('span', { class: 'marks' });
  const numbers = make('span', { class: 'numbers' });
  const split = make('span', { class: 'split' });
  const element = make('button', { class: 'node', data: { node: first.node.id } }, name, marks, numbers, split);
  element.tabIndex = -1;
  let shownMarks = '';
  let shownSplit = '';
  let before: ShownNode | null = null;
  return {
    element,
    update(shown) {
      const { node, isFaded, isOpen } = shown;
      setAttribute(element, 'data-faded', isFaded ? '' : null);
      setAttribute(element, 'aria-expanded', String(isOpen));
      if (before?.node === node) return;
      before = shown;
      const state = stateOfNode(node);
      setAttribute(element, 'data-state', state);
      setAttribute(element, 'data-kind', node.kind);
      setAttribute(element, 'data-enrolled', node.enrolled ?? 'unknown');
      setAttribute(element, 'aria-label', nodeSentence(node));
      setAttribute(element, 'title', [node.id, ...node.notes.map(({ text }) => text)].join('\n'));
      setText(name, node.name);
      showNumbers(numbers, node, state !== 'ok');
      const nextMarks = JSON.stringify([state, node.waypoint, node.endpoints, node.ejected.length]);
      if (nextMarks !== shownMarks) marks.replaceChildren(...marksOf(node, state));
      shownMarks = nextMarks;
      const shares = (node.splits[0]?.backends ?? []).map(({ actual, configured }) => actual ?? configured);
      const nextSplit = shares.map((share) => share.toFixed(3)).join(' ');
      if (nextSplit !== shownSplit) split.replaceChildren(...shares.map(shareBar));
      shownSplit = nextSplit;
    },
  };
}

function shareBar(share: number): HTMLElement {
  const bar = make('i');
  bar.style.flexGrow = String(Math.max(0.01, share));
  return bar;
}

function showNumbers(numbers: HTMLElement, { incoming, notes, ejected }: GraphNode, isTroubled: boolean): void {
  const { success, p99Ms } = incoming;
  const trouble = isTroubled ? troubleWords(notes) || (ejected.length > 0 ? 'endpoint ejected' : '') : '';
  const words: readonly (readonly [string, string])[] = [
    ['', trafficText(incoming)],
    [success !== null && success < 0.99 ? 'bad' : '', success === null || trouble !== '' ? '' : percentText(success)],
    ['', p99Ms === null || trouble !== '' ? '' : durationText(p99Ms)],
    ['trouble', trouble],
  ];
  const shown = words.filter(([, text]) => text !== '');
  while (numbers.children.length > shown.length) numbers.lastChild?.remove();
  shown.forEach(([tone, text], at) => {
    const span = numbers.children[at] ?? numbers.appendChild(make('span'));
    setAttribute(span, 'class', tone === '' ? null : tone);
    setText(span, text);
  });
}

function marksOf({ endpoints, waypoint, ejected, kind }: GraphNode, state: string): Node[] {
  const marks: Node[] = [];
  if (ejected.length > 0) marks.push(make('span', { class: 'warn alarm' }, icon('ejected')));
  if (waypoint !== null) marks.push(icon('waypoint'));
  if (kind !== 'outside' && endpoints.total > 0) {
    const isShort = endpoints.ready < endpoints.total;
    marks.push(make('span', { class: isShort ? 'warn' : '' }, `${endpoints.ready}/${endpoints.total}`));
  }
  if (state === 'error') marks.push(make('span', { class: 'bad alarm' }, icon('error')));
  if (state === 'warning' && ejected.length === 0) marks.push(make('span', { class: 'warn alarm' }, icon('warning')));
  return marks;
}
