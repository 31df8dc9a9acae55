// Pieces that several parts of the page show alike: notes, commands to copy, a way to a neighbour, a table.
import type { CommandView, GraphEdge, NoteSeverity, PageNote } from '../../model/page-views.ts';
import { durationText, percentText } from '../format.ts';
import { edgeTrouble, type State, stateOfEdge, trafficText } from '../trouble.ts';
import { type Child, make } from './dom.ts';
import { lockOf } from './edge-label.ts';
import { type IconName, icon } from './icons.ts';

const severityIcons: Readonly<Record<NoteSeverity, IconName>> = { error: 'error', warning: 'warning', info: 'info' };
const stateIcons: Readonly<Record<State, IconName>> = { error: 'error', warning: 'warning', ok: 'check' };
const copiedMs = 1_500;

/** The drawing of a severity, with its name for who listens. */
export function severityIcon(severity: NoteSeverity): SVGSVGElement {
  return icon(severityIcons[severity], severity);
}

/** The drawing of a state. */
export function stateIcon(state: State): SVGSVGElement {
  return icon(stateIcons[state], state);
}

/** A note as a line of its own. */
export function noteLine({ severity, text }: Pick<PageNote, 'severity' | 'text'>): HTMLElement {
  return make('p', { class: 'note', data: { severity } }, severityIcon(severity), make('span', {}, text));
}

/** A heading with what is under it; null where nothing is. */
export function part(title: string, ...children: readonly Child[]): HTMLElement | null {
  if (children.every((child) => child === null || child === false)) return null;
  return make('section', { class: 'part' }, make('h3', {}, title), ...children);
}

/** A table without a frame; null without rows. Cells of a column in `right` are numbers. */
export function gridTable(
  headers: readonly string[],
  rows: readonly (readonly Child[])[],
  right: readonly number[] = [],
): HTMLElement | null {
  if (rows.length === 0) return null;
  const side = (at: number): string => (right.includes(at) ? 'right' : '');
  const head = headers.map((text, at) => make('th', { class: side(at), attributes: { scope: 'col' } }, text));
  const body = rows.map((cells) => make('tr', {}, ...cells.map((cell, at) => make('td', { class: side(at) }, cell))));
  return make('table', { class: 'grid-table' }, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...body));
}

/** A command with a button that copies it. */
export function shellLine(command: string): HTMLElement {
  const button = make('button', { class: 'tool', label: `Copy: ${command}`, title: 'Copy' }, icon('copy'));
  button.addEventListener('click', () => {
    void copyText(command).then((isCopied) => {
      button.replaceChildren(icon(isCopied ? 'check' : 'error'));
      button.dataset['copied'] = String(isCopied);
      setTimeout(() => button.replaceChildren(icon('copy')), copiedMs);
    });
  });
  return make('div', { class: 'shell' }, make('code', {}, command), button);
}

/** Commands, each with what it shows; [] without any. */
export function commandLines(commands: readonly CommandView[]): HTMLElement[] {
  return commands.map(({ what, command }) =>
    make('div', { class: 'command', data: { command } }, make('p', { class: 'what' }, what), shellLine(command)),
  );
}

/** The clipboard is for pages that came by TLS or from this machine; elsewhere the old way has to do. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make('textarea', { class: 'unseen' });
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    return isCopied;
  }
}

/** A row that leads along an edge: which way, to whom, how it is carried, and its numbers. */
export function wayRow(edge: GraphEdge, way: 'out' | 'in', name: string, onOpen: () => void): HTMLElement {
  const { id, from, to, transport, success, p99Ms } = edge;
  const trouble = edgeTrouble(edge);
  const data = { edge: id, from, to, transport, state: stateOfEdge(edge) };
  const text = make('span', { class: 'to' }, name, trouble === '' ? null : make('span', { class: 'why' }, trouble));
  const numbers = [trafficText(edge), success === null ? '' : percentText(success)];
  if (p99Ms !== null) numbers.push(durationText(p99Ms));
  return make(
    'button',
    { class: 'way', data, title: edge.notes.map((note) => note.text).join('\n'), onClick: onOpen },
    icon(way === 'out' ? 'right' : 'left', way === 'out' ? 'calls' : 'is called by'),
    text,
    make('span', { class: 'nums' }, ...numbers.filter(Boolean).map((number) => make('span', {}, number))),
    lockOf(transport),
  );
}
