// Delegation: the rule of a root VirtualService with the rules of its delegate (l7.md §3.2). A pair of branches is kept
// where the delegate's asks for no less than the root's; what does not fit is dropped.
import type { VirtualMatch, VirtualRule } from '../route-resources.ts';
import type { HeaderEdits, NamedMatch, PathMatch, ValueMatch } from '../route-types.ts';

/** The delegate's rule as it holds under the root's; null when no pair of branches fits. */
export function mergeRules(root: VirtualRule, child: VirtualRule): VirtualRule | null {
  const matches = mergeAll(root.matches, child.matches);
  if (matches === null) return null;
  return {
    ...child,
    name: joined(root.name, child.name),
    matches,
    rewrite: child.rewrite ?? root.rewrite,
    timeoutMs: child.timeoutMs ?? root.timeoutMs,
    retries: child.retries ?? root.retries,
    fault: child.fault ?? root.fault,
    mirrors: child.mirrors.length > 0 ? child.mirrors : root.mirrors,
    cors: child.cors ?? root.cors,
    requestHeaders: joinEdits(root.requestHeaders, child.requestHeaders),
    responseHeaders: joinEdits(root.responseHeaders, child.responseHeaders),
    authority: child.authority ?? root.authority,
  };
}

function mergeAll(roots: readonly VirtualMatch[], children: readonly VirtualMatch[]): readonly VirtualMatch[] | null {
  if (roots.length === 0) return children;
  if (children.length === 0) return roots;
  const merged = roots.flatMap((root) => children.map((child) => mergeMatches(root, child)));
  const kept = merged.filter((match) => match !== null);
  return kept.length === 0 ? null : kept;
}

function mergeMatches(root: VirtualMatch, child: VirtualMatch): VirtualMatch | null {
  const isPathFit = root.path === null || child.path === null || isWithinPath(root.path, child.path);
  const areValuesFit = (['method', 'scheme', 'authority'] as const).every((key) => isFit(root[key], child[key]));
  if (!isPathFit || !areValuesFit || !areLabelsFit(root.sourceLabels, child.sourceLabels)) return null;
  if (root.sourceNamespace !== '' && child.sourceNamespace !== '' && root.sourceNamespace !== child.sourceNamespace) {
    return null;
  }
  if (root.port !== 0 && child.port !== 0 && root.port !== child.port) return null;
  if (root.gateways.length > 0 && !child.gateways.every((one) => root.gateways.includes(one))) return null;
  const headers = mergeNamed(root.headers, child.headers);
  const query = mergeNamed(root.query, child.query);
  if (headers === null || query === null) return null;
  return {
    name: joined(root.name, child.name) ?? '',
    path: child.path ?? root.path,
    method: child.method ?? root.method,
    scheme: child.scheme ?? root.scheme,
    authority: child.authority ?? root.authority,
    headers,
    query,
    claims: [...root.claims, ...child.claims],
    sourceNamespace: child.sourceNamespace || root.sourceNamespace,
    sourceLabels: { ...root.sourceLabels, ...child.sourceLabels },
    port: child.port || root.port,
    gateways: child.gateways.length > 0 ? child.gateways : root.gateways,
  };
}

function isWithinPath(root: PathMatch, child: PathMatch): boolean {
  if (root.ignoreCase !== child.ignoreCase) return false;
  return isWithin(root.kind, root.value, child.kind, child.value);
}

function isFit(root: ValueMatch | null, child: ValueMatch | null): boolean {
  return root === null || child === null || isWithin(root.kind, root.value, child.kind, child.value);
}

/** True when the second asks for no less than the first. A regex is never compared with anything but itself. */
function isWithin(kind: string, value: string, childKind: string, childValue: string): boolean {
  if (kind === 'present') return true;
  if (kind === 'exact' || kind === 'regex') return childKind === kind && childValue === value;
  return (childKind === 'exact' || childKind === 'prefix') && childValue.startsWith(value);
}

function areLabelsFit(root: Readonly<Record<string, string>>, child: Readonly<Record<string, string>>): boolean {
  return Object.entries(root).every(([key, value]) => child[key] === undefined || child[key] === value);
}

function mergeNamed(root: readonly NamedMatch[], child: readonly NamedMatch[]): readonly NamedMatch[] | null {
  const kept: NamedMatch[] = [];
  for (const one of root) {
    const same = child.find((other) => other.name === one.name && other.invert === one.invert);
    if (same === undefined) kept.push(one);
    else if (!isFit(one.match, same.match)) return null;
  }
  return [...kept, ...child];
}

function joined(root: string | null, child: string | null): string | null {
  const parts = [root, child].filter((part) => part !== null && part !== '');
  return parts.length === 0 ? null : parts.join('-');
}

function joinEdits(root: HeaderEdits, child: HeaderEdits): HeaderEdits {
  const setNames = new Set(child.set.map(([name]) => name));
  return {
    remove: [...new Set([...root.remove, ...child.remove])],
    set: [...root.set.filter(([name]) => !setNames.has(name)), ...child.set],
    add: [...root.add, ...child.add],
  };
}
