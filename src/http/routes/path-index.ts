// Finds the first entry of a long table without looking at all of them: exact paths in a map, prefixes in a tree of
// path segments, the rest one after the other. Each place holds its entries in their order; the smallest position that
// holds anywhere wins, as if all had been tried in turn.
import type { PathMatch } from '../../model/route-types.ts';
import type { MatchClaims, MatchClient, MatchRequest, RequestTest } from './entry-matcher.ts';
import { type PathTest, pathTest, withoutSlash } from './value-matcher.ts';

interface Place {
  readonly positions: number[];
  /** Beside each: what is still to be asked of the path; null when being here says it all. */
  readonly tests: (PathTest | null)[];
}

interface TreeNode {
  readonly place: Place;
  readonly children: Map<string, TreeNode>;
}

/** The entries of one table by their paths. */
export class PathIndex {
  readonly #exact = new Map<string, Place>();
  readonly #root = newNode();
  readonly #loose = newPlace();
  readonly #requestTests: readonly (RequestTest | null)[];

  /** `tests` are those of the entries apart from their paths. */
  constructor(paths: readonly (PathMatch | null)[], tests: readonly (RequestTest | null)[]) {
    this.#requestTests = tests;
    for (const [position, path] of paths.entries()) this.#add(path, position);
  }

  /** The first entry that holds; -1 for none. */
  find(request: MatchRequest, target: string, queryAt: number, client: MatchClient, claims: MatchClaims): number {
    let best = Number.MAX_SAFE_INTEGER;
    if (this.#exact.size > 0) {
      const exact = this.#exact.get(queryAt === target.length ? target : target.slice(0, queryAt));
      if (exact !== undefined) best = this.#firstIn(exact, best, request, target, queryAt, client, claims);
    }
    let node: TreeNode | undefined = this.#root;
    let at = 1;
    while (node !== undefined) {
      best = this.#firstIn(node.place, best, request, target, queryAt, client, claims);
      if (node.children.size === 0 || at > queryAt) break;
      const slash = target.indexOf('/', at);
      const end = slash < 0 || slash > queryAt ? queryAt : slash;
      node = node.children.get(target.slice(at, end));
      at = end + 1;
    }
    best = this.#firstIn(this.#loose, best, request, target, queryAt, client, claims);
    return best === Number.MAX_SAFE_INTEGER ? -1 : best;
  }

  #add(path: PathMatch | null, position: number): void {
    if (path === null) addTo(this.#loose, position, null);
    else if (path.kind === 'regex' || path.ignoreCase || !path.value.startsWith('/')) {
      addTo(this.#loose, position, pathTest(path));
    } else if (path.kind === 'exact') {
      const place = this.#exact.get(path.value) ?? newPlace();
      this.#exact.set(path.value, place);
      addTo(place, position, null);
    } else if (path.kind === 'segments') addTo(this.#nodeOf(withoutSlash(path.value)).place, position, null);
    // A prefix may end within a segment: it stands at the last one that is whole.
    else addTo(this.#nodeOf(path.value.slice(0, path.value.lastIndexOf('/'))).place, position, pathTest(path));
  }

  #firstIn(
    place: Place,
    best: number,
    request: MatchRequest,
    target: string,
    queryAt: number,
    client: MatchClient,
    claims: MatchClaims,
  ): number {
    const { positions, tests } = place;
    for (let at = 0; at < positions.length; at++) {
      const position = positions[at]!;
      if (position >= best) return best;
      const pathHolds = tests[at]!;
      if (pathHolds !== null && !pathHolds(target, queryAt)) continue;
      const test = this.#requestTests[position]!;
      if (test === null || test(request, target, queryAt, client, claims)) return position;
    }
    return best;
  }

  #nodeOf(prefix: string): TreeNode {
    let node = this.#root;
    if (prefix === '') return node;
    for (const segment of prefix.slice(1).split('/')) {
      const child = node.children.get(segment) ?? newNode();
      node.children.set(segment, child);
      node = child;
    }
    return node;
  }
}

function newPlace(): Place {
  return { positions: [], tests: [] };
}

function newNode(): TreeNode {
  return { place: newPlace(), children: new Map() };
}

function addTo(place: Place, position: number, test: PathTest | null): void {
  place.positions.push(position);
  place.tests.push(test);
}
