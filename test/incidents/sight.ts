// Places of the live page where an incident is to be seen, as a person gets there, and what is to be read in them.

/** One part of the page that is opened, with what one sees there. */
export interface Sight {
  /** In words, as docs/runbook.md has it: `Graph, shop/web → shop/catalog`. */
  readonly place: string;
  /** The same as the end of the page's address. */
  readonly hash: string;
  /** Elements, by selector, and words of what is to be seen of them. */
  readonly says: readonly (readonly [selector: string, words: RegExp])[];
}

/**
 * An edge of the graph: the label at it, and the panel that a click opens. No `label` where another trouble of the last
 * minute may come first there.
 */
export function edgeSight(from: string, to: string, label: RegExp | null, panel: RegExp): Sight {
  const id = `${from}>${to}`;
  return {
    place: `Graph, ${from} → ${to}`,
    hash: `#/graph?edge=${id}`,
    says: [...saysOf(`button.edge[data-edge="${id}"]`, label), panelOf(id, panel)],
  };
}

/** A service of the graph: its card, unless something else comes first there, and the panel that a click opens. */
export function nodeSight(id: string, card: RegExp | null, panel: RegExp): Sight {
  return {
    place: `Graph, ${id}`,
    hash: `#/graph?node=${id}`,
    says: [...saysOf(`button.node[data-node="${id}"]`, card), panelOf(id, panel)],
  };
}

/** A row of the proxies, and the panel that a click opens; `id` is `node/NODE` or `waypoint/NAMESPACE/NAME`. */
export function proxySight(id: string, row: RegExp, panel: RegExp): Sight {
  const name = id.slice(id.indexOf('/') + 1);
  return {
    place: `Proxies, ${name}`,
    hash: `#/proxies?proxy=${id}`,
    says: [[`tr[data-proxy="${name}"]`, row], panelOf(id, panel)],
  };
}

/** A problem, by its code or, of `check`, by the statement that does not hold. */
export function problemSight(title: string, code: string | null, text: RegExp): Sight {
  const coded = code === null ? '' : `[data-code="${code}"]`;
  return {
    place: `Problems, ${code ?? title}`,
    hash: '#/problems',
    says: [[`article[data-problem="${title}"]${coded}`, text]],
  };
}

function saysOf(selector: string, words: RegExp | null): Sight['says'] {
  return words === null ? [] : [[selector, words]];
}

function panelOf(id: string, words: RegExp): readonly [string, RegExp] {
  return [`#panel[data-of="${id}"]`, words];
}
