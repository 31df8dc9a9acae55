// Takes secrets out of what leaves a mesh in a support bundle: by the names of fields, and by what secrets look like in
// any text. In doubt it takes away too much. Names of Secrets, paths of files and public certificates stay.
export const redacted = '[redacted]';

const secretWords =
  'pass(?:word|wd|phrase)|secret|token|api[-_]?key|private[-_]?key|access[-_]?key|credential|session[-_]?id';
const secretName = new RegExp(`${secretWords}|authorization|cookie|^auth$|x-auth|^pwd$`, 'i');
/** Names that hold where a secret is, or what it is for, and not the secret. */
const harmlessEnds = 'file|path|dir|names?|refs?|audiences?|secrets|ttl|seconds|url|uri|type|kind|expires?|issuer';
const harmlessWords = 'serviceAccountToken|secrets?|tokenReview|kubernetes\\.io.*|automountServiceAccountToken';
const harmlessName = new RegExp(`(${harmlessEnds})$|^(${harmlessWords})$`, 'i');
/** Fields beside a name that hold its value. */
const valueFields = new Set(['value', 'values', 'notValues', 'exact', 'prefix', 'suffix', 'regex', 'string', 'inline']);
/** Fields whose value is a name. */
const namingFields = ['name', 'key', 'header', 'headerName'] as const;
/** The private parts of a JSON Web Key. */
const privateParts = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']);
const dropped = new Set(['managedFields', 'kubectl.kubernetes.io/last-applied-configuration']);
const depthMax = 64;

/** True for the name of a field, header or variable whose value may be a secret. */
export function isSecretName(name: string): boolean {
  return secretName.test(name) && !harmlessName.test(name);
}

/** A copy without secrets. What is nested too deep to look at is left out. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(withinJson(value, depth));
  if (typeof value !== 'object' || value === null) return value;
  if (depth > depthMax) return redacted;
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  return redactFields(value as Readonly<Record<string, unknown>>, depth);
}

/** JSON in a text, such as a set of keys, is looked into; where there is nothing to take away it stays as it was. */
function withinJson(text: string, depth: number): string {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    const clean = JSON.stringify(redactValue(value, depth + 1));
    return clean === JSON.stringify(value) ? text : clean;
  } catch {
    return text;
  }
}

function redactFields(fields: Readonly<Record<string, unknown>>, depth: number): unknown {
  const isSecret = fields['kind'] === 'Secret';
  const isKey = typeof fields['kty'] === 'string';
  // `{name: Authorization, value: …}`, `{key: request.headers[authorization], values: […]}`.
  const named = namingFields.some(
    (field) => typeof fields[field] === 'string' && secretName.test(String(fields[field])),
  );
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (dropped.has(name)) continue;
    const isTaken =
      (isSecret && (name === 'data' || name === 'stringData')) ||
      (isKey && privateParts.has(name)) ||
      (named && valueFields.has(name));
    if (isTaken || (isSecretName(name) && isValue(value))) result[name] = blanked(value);
    else if (name === 'env' && Array.isArray(value)) result[name] = value.map((one) => withoutValue(one, depth));
    else if ((name === 'args' || name === 'command') && Array.isArray(value)) result[name] = redactArguments(value);
    else result[redactText(name)] = redactValue(value, depth + 1);
  }
  return result;
}

/** Texts, lists of texts, and how a text is compared: not what merely has such a name and holds other fields. */
function isValue(value: unknown): boolean {
  if (typeof value === 'string') return true;
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string');
  if (typeof value !== 'object' || value === null) return false;
  return Object.keys(value).every((field) => valueFields.has(field));
}

/** Of the same shape, with every text taken away. */
function blanked(value: unknown): unknown {
  if (typeof value === 'string') return redacted;
  if (Array.isArray(value)) return value.map(blanked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, blanked(inner)]));
}

/** What a variable of a container is set to is nobody's business; that it is set may matter. */
function withoutValue(variable: unknown, depth: number): unknown {
  if (typeof variable !== 'object' || variable === null || !('value' in variable)) return redactValue(variable, depth);
  return { ...variable, value: redacted };
}

/** `--password X`, `--token=X`. */
function redactArguments(words: readonly unknown[]): unknown[] {
  let isNext = false;
  return words.map((word) => {
    const wasNext = isNext;
    isNext = typeof word === 'string' && /^--?[\w-]+$/.test(word) && isSecretName(word.replace(/^-+/, ''));
    if (typeof word !== 'string') return word;
    return wasNext && !word.startsWith('-') ? redacted : redactText(word);
  });
}

interface Pattern {
  readonly find: RegExp;
  readonly put: string | ((...found: string[]) => string);
}

/** `NAME: VALUE` of a header that carries a secret, quoted or not, also within JSON within JSON. */
const headers = new RegExp(
  '\\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-[\\w-]+)' +
    `(\\\\?["']?\\s*[:=]\\s*)(\\\\?["'])?([^\\r\\n]+)`,
  'gi',
);

/** `NAME=VALUE`, `NAME: VALUE`, `"NAME":"VALUE"`, and the same with escaped quotes. */
const assignments = new RegExp(
  `([\\w.-]*(?:${secretWords})[\\w.-]*)(\\\\?["']?\\s*[=:]\\s*)` +
    `(\\[redacted\\]|\\\\?"(?:[^"\\\\]|\\\\.)*"|'[^']*'|[^\\s"',;&}\\])]+)`,
  'gi',
);

/** From the surest to the widest; each leaves what an earlier one has put. */
const patterns: readonly Pattern[] = [
  {
    find: /-----BEGIN ([A-Z ]*)PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
    put: redacted,
  },
  { find: /\beyJ[\w-]{4,}\.[\w-]+(\.[\w-]*)*/g, put: redacted },
  { find: /\b(AKIA|ASIA)[A-Z0-9]{12,}\b|\bgh[pousr]_\w{16,}|\bxox[abprs]-[\w-]{8,}|\bglpat-[\w-]{8,}/g, put: redacted },
  // A password may hold any of the signs that should have been escaped in it, so it goes to the last @.
  { find: /\b([a-z][a-z\d+.-]*:\/\/)[^\s"'<>`\\]*@/gi, put: `$1${redacted}@` },
  // A header, up to the end of its text or line.
  {
    find: headers,
    put: (_, name, sign, quote, rest) => `${name}${sign}${quote ?? ''}${headerRest(rest ?? '', quote)}`,
  },
  { find: /\b(Bearer|Basic|Digest|Negotiate)(\s+)(?!\[redacted\])[\w.~+/=-]{6,}/gi, put: `$1$2${redacted}` },
  {
    find: assignments,
    put: (whole, name, sign, value) => assignment(whole ?? '', name ?? '', sign ?? '', value ?? ''),
  },
];

/** What follows the value of a header: up to its closing quote where it has one, else nothing is kept. */
function headerRest(rest: string, quote: string | undefined): string {
  if (quote === undefined) return redacted;
  const end = rest.indexOf(quote);
  return end < 0 ? redacted : `${redacted}${rest.slice(end)}`;
}

function assignment(whole: string, name: string, sign: string, value: string): string {
  if (!isSecretName(name) || value.startsWith(redacted) || /^\\?["']?\[redacted\]/.test(value)) return whole;
  const quote = /^\\?["']/.exec(value)?.[0] ?? '';
  return `${name}${sign}${quote}${redacted}${quote}`;
}

/** A text without what looks like a secret; the same when it is done again. */
export function redactText(text: string): string {
  let result = text;
  for (const { find, put } of patterns) {
    result = typeof put === 'string' ? result.replace(find, put) : result.replace(find, put as never);
  }
  return result;
}

/** Lines of a log: those that are JSON by their fields, the others by what stands in them. */
export function redactLines(text: string): string {
  // A key in PEM has many lines.
  return redactText(text)
    .split('\n')
    .map((line) => {
      if (!line.startsWith('{')) return line;
      try {
        return JSON.stringify(redactValue(JSON.parse(line)));
      } catch {
        return line;
      }
    })
    .join('\n');
}
