// Label selectors with one meaning, however they are written: on a command line and in a query of the Kubernetes API
// (`app=web,tier!=db,env in (a,b),!old`), or in objects as `matchExpressions`.
import { MeshError } from './errors.ts';

type Labels = Readonly<Record<string, string>>;

export interface LabelRequirement {
  readonly key: string;
  /** `In`, `NotIn`, `Exists` or `DoesNotExist`; any other is met by nothing. */
  readonly operator: string;
  readonly values: readonly string[];
}

/** Whether labels meet a requirement, as in Kubernetes: what is not there is not in any list. */
export function meets({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}

/** A test of labels by all requirements of a selector; '' lets everything through. Throws as `parseLabelSelector`. */
export function labelTest(text: string): (labels: Labels | undefined) => boolean {
  const requirements = parseLabelSelector(text);
  return (labels = {}) => requirements.every((one) => meets(one, labels));
}

/** The requirements of a selector in Kubernetes' syntax. Throws USAGE with the column of what cannot be read. */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  if (text.trim() === '') return [];
  const scanner = new Scanner(text);
  const requirements = [requirementOf(scanner)];
  while (scanner.takes(',')) requirements.push(requirementOf(scanner));
  if (!scanner.isAtEnd) throw scanner.wrong("',' or the end is missing; write it like app=web,env in (a,b),!old");
  return requirements;
}

function requirementOf(scanner: Scanner): LabelRequirement {
  if (scanner.takes('!')) return { key: scanner.key(), operator: 'DoesNotExist', values: [] };
  const key = scanner.key();
  if (scanner.takes('!=')) return { key, operator: 'NotIn', values: [scanner.value()] };
  if (scanner.takes('==') || scanner.takes('=')) return { key, operator: 'In', values: [scanner.value()] };
  if (scanner.takesWord('notin')) return { key, operator: 'NotIn', values: scanner.values() };
  if (scanner.takesWord('in')) return { key, operator: 'In', values: scanner.values() };
  return { key, operator: 'Exists', values: [] };
}

const nameMax = 63;
const prefixMax = 253;
const namePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const prefixPattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** Reads a text from left to right; blanks between words do not count. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    this.#skipBlanks();
    return this.#at >= this.#text.length;
  }

  takes(sign: string): boolean {
    this.#skipBlanks();
    if (!this.#text.startsWith(sign, this.#at)) return false;
    this.#at += sign.length;
    return true;
  }

  takesWord(word: string): boolean {
    this.#skipBlanks();
    if (this.#peekWord() !== word) return false;
    this.#at += word.length;
    return true;
  }

  key(): string {
    return this.#word((word) => {
      if (word === '') return 'the key of a label is missing';
      const [name = '', prefix] = word.split('/').toReversed();
      const isPrefix = prefix === undefined || (prefix.length <= prefixMax && prefixPattern.test(prefix));
      const isKey = word.split('/').length <= 2 && isPrefix && name.length <= nameMax && namePattern.test(name);
      return isKey ? null : `'${word}' is no key of a label`;
    });
  }

  /** A value may be empty. */
  value(): string {
    return this.#word((word) => {
      const isValue = word === '' || (word.length <= nameMax && namePattern.test(word));
      return isValue ? null : `'${word}' is no value of a label`;
    });
  }

  values(): readonly string[] {
    if (!this.takes('(')) throw this.wrong("'(' and a list of values are missing");
    const values = [this.value()];
    while (this.takes(',')) values.push(this.value());
    if (!this.takes(')')) throw this.wrong("')' is missing");
    return values;
  }

  wrong(reason: string): MeshError {
    return new MeshError('USAGE', { reason: `the selector '${this.#text}', column ${this.#at + 1}: ${reason}` });
  }

  #word(complaint: (word: string) => string | null): string {
    this.#skipBlanks();
    const word = this.#peekWord();
    const why = complaint(word);
    if (why !== null) throw this.wrong(why);
    this.#at += word.length;
    return word;
  }

  #peekWord(): string {
    return /^[^\s,()=!]*/.exec(this.#text.slice(this.#at))?.[0] ?? '';
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
  }
}
