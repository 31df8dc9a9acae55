// The problems: what `check` and `analyze` say, worst first, each with where it is, what to do, and how to ask again.
import type { ProblemRow } from '../../model/page-views.ts';
import { plural } from '../format.ts';
import type { App, Model } from './app.ts';
import { type Child, make, Section } from './dom.ts';
import { icon } from './icons.ts';
import { commandLines, part, severityIcon, shellLine } from './parts.ts';

/** The page of problems. */
export class ProblemsPage {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #list = new Section(make('div'));

  constructor(app: App) {
    this.#app = app;
    const column = make('div', { class: 'column' }, make('h1', {}, 'Problems'), this.#list.element);
    this.element = make('div', { class: 'scroll', data: { view: 'problems' } }, column);
  }

  show({ problems: told }: Model): void {
    if (told === null) return;
    const { problems, incomplete, leftOut, well, commands } = told;
    this.#list.show([problems, incomplete, leftOut, well, commands], () => [
      make('p', { class: 'lead' }, leadOf(problems)),
      ...incomplete.map((text) => make('p', { class: 'note', data: { severity: 'warning' } }, icon('warning'), text)),
      problems.length > 0
        ? null
        : make('p', { class: 'all-well' }, icon('check'), 'check and analyze have nothing to say against this mesh.'),
      ...problems.map((problem) => this.#card(problem)),
      leftOut > 0
        ? make('p', { class: 'lead' }, `${leftOut} more are not listed here; the commands below print all.`)
        : null,
      well.length === 0 ? null : holds(well),
      make('div', { class: 'aside' }, part('The same in a terminal', ...commandLines(commands))),
    ]);
  }

  #card({ source, code, severity, title, text, fix, place, doc, command, node }: ProblemRow): HTMLElement {
    const foot: Child[] = [
      place === null ? null : make('code', {}, place),
      doc === null ? null : make('span', {}, 'see ', make('code', {}, doc)),
      node === null
        ? null
        : make(
            'button',
            {
              class: 'text-button',
              onClick: () => this.#app.look({ view: 'graph', selection: { kind: 'node', id: node } }, true),
            },
            `Show ${node} in the graph`,
          ),
    ];
    const content = make(
      'div',
      { class: 'what' },
      make('h2', {}, title, make('small', {}, code ?? source)),
      make('p', {}, text),
      fix === '' ? null : make('p', { class: 'fix' }, make('b', {}, 'To do: '), fix),
      foot.every((child) => child === null) ? null : make('div', { class: 'foot' }, ...foot),
      shellLine(command),
    );
    const data = { problem: title, severity, code: code ?? '' };
    return make('article', { class: 'problem', data }, severityIcon(severity), content);
  }
}

function leadOf(problems: readonly ProblemRow[]): string {
  const count = (severity: ProblemRow['severity']): number =>
    problems.filter((one) => one.severity === severity).length;
  const words = [
    [count('error'), 'error'],
    [count('warning'), 'warning'],
    [count('info'), 'hint'],
  ] as const;
  const text = words
    .filter(([number]) => number > 0)
    .map(([number, word]) => plural(number, word))
    .join(', ');
  return text === ''
    ? 'What check and analyze say, as it is now.'
    : `${text}: what check and analyze say, as it is now.`;
}

function holds(well: readonly string[]): HTMLElement {
  const list = make('ul', {}, ...well.map((text) => make('li', {}, icon('check'), make('span', {}, text))));
  return make('details', { class: 'holds' }, make('summary', {}, `What holds (${well.length})`), list);
}
