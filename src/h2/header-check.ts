// Whether a header list is well formed (RFC 9113 §8.2, §8.3, §8.5; RFC 8441 §4). Works on flat lists as HpackDecoder
// makes them.

const pseudoRequest = new Set([':method', ':scheme', ':authority', ':path']);
const pseudoExtended = new Set([...pseudoRequest, ':protocol']);
/** Lower-case token characters (RFC 9110 §5.6.2 without upper case). */
const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** No control characters but HTAB, no blank at either end (RFC 9113 §8.2.1). */
const fieldValue = /^(?![ \t])[\t\x20-\x7e\x80-\xff]*(?<![ \t])$/;
const connectionSpecific = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** True for a name of a regular field, in lower case. */
export function isFieldName(text: string): boolean {
  return fieldName.test(text);
}

/** True for what a field may say. */
export function isFieldValue(text: string): boolean {
  return fieldValue.test(text);
}

/** Returns the value of the first header called `name`, '' when there is none. */
export function headerOf(headers: readonly string[], name: string): string {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i] === name) return headers[i + 1]!;
  return '';
}

function hasHeader(headers: readonly string[], name: string): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i] === name) return true;
  return false;
}

/** Returns all values of `name`, joined by commas as RFC 9110 §5.3 allows. */
export function joinedHeader(headers: readonly string[], name: string): string {
  let joined = '';
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] === name) joined = joined === '' ? headers[i + 1]! : `${joined},${headers[i + 1]}`;
  }
  return joined;
}

/**
 * Returns what is wrong with the headers of a request, '' when nothing is. `extendedConnect`: CONNECT may have
 * `:protocol`, which makes it a request like any other. `sound`: the decoder has found no character that must not be
 * there.
 */
export function requestFault(headers: readonly string[], extendedConnect: boolean, sound = false): string {
  const fault = fieldsFault(headers, extendedConnect ? pseudoExtended : pseudoRequest, sound);
  if (fault !== '') return fault;
  if (!hasHeader(headers, ':method')) return 'no :method';
  const isExtended = hasHeader(headers, ':protocol');
  if (isExtended && headerOf(headers, ':method') !== 'CONNECT') return ':protocol without CONNECT';
  if (isExtended && headerOf(headers, ':authority') === '') return 'CONNECT without :authority';
  if (!isExtended && headerOf(headers, ':method') === 'CONNECT') {
    if (hasHeader(headers, ':scheme') || hasHeader(headers, ':path')) return 'CONNECT with :scheme or :path';
    return headerOf(headers, ':authority') === '' ? 'CONNECT without :authority' : '';
  }
  if (headerOf(headers, ':method') === '' || headerOf(headers, ':scheme') === '') return 'no :method or :scheme';
  if (headerOf(headers, ':path') === '') return 'no :path';
  return contentLengthOf(headers) === contentLengthWrong ? 'content-length' : '';
}

const contentLengthWrong = -2;

/** Returns what content-length says; -1 when there is none, -2 when it is no number or two (RFC 9110 §8.6). */
export function contentLengthOf(headers: readonly string[]): number {
  let found = '';
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] !== 'content-length') continue;
    const value = headers[i + 1]!;
    if (!/^[0-9]{1,15}$/.test(value) || (found !== '' && found !== value)) return contentLengthWrong;
    found = value;
  }
  return found === '' ? -1 : Number(found);
}

/** Returns what is wrong with the headers of a response, '' when nothing is. */
export function responseFault(headers: readonly string[], sound = false): string {
  const fault = fieldsFault(headers, pseudoResponse, sound);
  if (fault !== '') return fault;
  const status = headerOf(headers, ':status');
  return status === '200' || /^[1-9][0-9]{2}$/.test(status) ? '' : 'no three-digit :status';
}

/** Returns what is wrong with trailers, '' when nothing is. */
export function trailersFault(headers: readonly string[], sound = false): string {
  return fieldsFault(headers, noPseudo, sound);
}

const pseudoResponse = new Set([':status']);
const noPseudo = new Set<string>();

function fieldsFault(headers: readonly string[], pseudo: ReadonlySet<string>, sound: boolean): string {
  let regular = false;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    if (!sound && !fieldValue.test(value))
      return `a value of ${JSON.stringify(name.slice(0, 64))} with characters that are not allowed`;
    if (name.startsWith(':')) {
      if (regular) return 'a pseudo-header after others';
      if (!pseudo.has(name)) return `pseudo-header ${JSON.stringify(name.slice(0, 64))}`;
      for (let j = 0; j < i; j += 2) if (headers[j] === name) return `${name} twice`;
      continue;
    }
    regular = true;
    if (!sound && !fieldName.test(name)) return 'a name with characters that are not allowed';
    if (connectionSpecific.has(name) || (name === 'te' && value !== 'trailers')) return `connection-specific ${name}`;
  }
  return '';
}
