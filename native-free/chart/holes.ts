// Values in whose place a template will ask for the real ones: every value is a hole, which leaves its path wherever it
// gets to. What is made conditionally is found by making everything twice, with a switch on and off.
import type { JsonSchema } from '../../src/config/schema.ts';
import type { InstallValues } from '../../src/install/values.ts';
import type { Variant } from './variants.ts';

/** Something that is either on or off by the values, and decides what there is. */
export interface Switch {
  /** The condition, in the language of templates. */
  readonly when: string;
  readonly off: InstallValues;
  /** With a choice among words: the hole, and the word that stands in `off` where it was. */
  readonly word?: { readonly hole: string; readonly is: string };
}

type Fields = Record<string, unknown>;

/** Numbers at which something changes: from `from` on it is on. */
const thresholds: Readonly<Record<string, { readonly from: number }>> = { 'controller.replicas': { from: 2 } };
/** Words at which something changes that other values take part in. */
const words: Readonly<Record<string, { readonly on: string; readonly off: string }>> = {
  'page.listen': { on: 'everywhere', off: 'loopback' },
  'page.certificate': { on: 'secret', off: 'own' },
};
/** What a template asks for instead of the value of that path. */
const expressions: Readonly<Record<string, string>> = {
  namespace: '.Release.Namespace',
  'image.tag': '(.Values.image.tag | default .Chart.AppVersion)',
};
/** Fields of files, which helpers of the chart merge with what is chosen. */
const merged: readonly string[] = ['controller.config', 'node.config'];
const firstNumber = 900_000_001;

/** What a template asks for, for a path of the values. */
export function expressionOf(path: string): string {
  return expressions[path] ?? `.Values.${path}`;
}

/** Text that is found again; `kind` says what for. */
export const hole = (kind: 'value' | 'each' | 'fields' | 'include', what: string): string => `⟦${kind} ${what}⟧`;
export const holePattern: RegExp = /⟦(value|each|fields|include) ([^⟧]*)⟧/g;

export interface Holes {
  /** Every switch on. */
  readonly values: InstallValues;
  readonly switches: readonly Switch[];
  /** Which path a number stands for. */
  readonly numbers: ReadonlyMap<number, string>;
}

/** Holes for every value that the schema has. */
export function holesOf(schema: JsonSchema): Holes {
  const numbers = new Map<number, string>();
  const off: [path: string, when: string, value: unknown, isWord?: true][] = [];
  const make = (at: JsonSchema, path: string): unknown => {
    const properties = at['properties'] as Readonly<Record<string, JsonSchema>> | undefined;
    if (Array.isArray(at['anyOf'])) return make(at['anyOf'][0] as JsonSchema, path);
    if (path.endsWith('.config')) {
      if (!merged.includes(path)) off.push([path, expressionOf(path), {}]);
      return { [hole('fields', path)]: '' };
    }
    if (properties !== undefined) {
      const within = (name: string): string => (path === '' ? name : `${path}.${name}`);
      return Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, make(each, within(name))]));
    }
    if (at['type'] === 'boolean') {
      off.push([path, expressionOf(path), false]);
      return true;
    }
    const word = words[path];
    if (word !== undefined) {
      off.push([path, `eq ${expressionOf(path)} ${JSON.stringify(word.on)}`, word.off]);
      return word.on;
    }
    if (Array.isArray(at['enum'])) {
      for (const word of at['enum'] as string[]) off.push([path, `ne ${expressionOf(path)} "${word}"`, word, true]);
      return hole('value', path);
    }
    if (at['type'] === 'array') {
      off.push([path, expressionOf(path), []]);
      return [hole('each', path)];
    }
    if (at['type'] === 'object') return { [hole('fields', path)]: '' };
    if (at['type'] !== 'integer') return hole('value', path);
    const number = firstNumber + numbers.size;
    const threshold = thresholds[path];
    numbers.set(number, path);
    if (threshold !== undefined) {
      off.push([path, `ge (int ${expressionOf(path)}) ${threshold.from}`, -number]);
      numbers.set(-number, path);
    }
    return number;
  };
  const values = make(schema, '') as InstallValues;
  const switches = off.map(([path, when, value, isWord]) => ({
    when,
    off: replaced(values, path, value),
    ...(isWord && { word: { hole: hole('value', path), is: String(value) } }),
  }));
  return { values, switches, numbers };
}

/** What `make` makes with every switch on, and with each of them off. */
export function variantsOf(
  holes: Holes,
  make: (values: InstallValues) => unknown,
): { whole: unknown; variants: Variant[] } {
  const whole = make(holes.values);
  const variants = holes.switches.map(({ when, off, word }) => {
    const tree = make(off);
    return { off: when, tree: word === undefined ? tree : withHole(tree, whole, word) };
  });
  return { whole, variants };
}

/** The tree with a hole where the word stands only for itself: where the whole has the hole. */
function withHole(tree: unknown, whole: unknown, word: NonNullable<Switch['word']>): unknown {
  if (typeof tree === 'string' && typeof whole === 'string') {
    return whole.replaceAll(word.hole, word.is) === tree ? whole : tree;
  }
  if (typeof tree !== 'object' || tree === null || typeof whole !== 'object' || whole === null) return tree;
  const inWhole = whole as Fields;
  const filled = Object.entries(tree).map(([key, each]) => [key, withHole(each, inWhole[key], word)]);
  return Array.isArray(tree) ? filled.map(([, each]) => each) : Object.fromEntries(filled);
}

function replaced(values: InstallValues, path: string, value: unknown): InstallValues {
  const copy = structuredClone(values) as unknown as Fields;
  const steps = path.split('.');
  const last = steps.pop()!;
  const parent = steps.reduce((fields, step) => fields[step] as Fields, copy);
  parent[last] = value;
  return copy as unknown as InstallValues;
}
