// What a receiver of spans asks of whoever sends: headers with a key, and whom it is vouched for by. Both are files of
// one folder, where a Secret is mounted, and are read again now and then, so that they can be replaced. What is in them
// is in no log and no error.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/errors.ts';

export interface ReceiverCredentials {
  readonly headers: Readonly<Record<string, string>>;
  /** PEM; '' for the authorities that Node knows. */
  readonly ca: string;
}

export const headersFile = 'headers';
export const caFile = 'ca.crt';
const againMs = 10_000;
const bytesMax = 256 * 1024;
const header = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?[ \t]*$/;
/** They say how the batch is sent. */
const ours: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** The credentials in a folder. */
export class CredentialsFolder {
  readonly #dir: string;
  readonly #clock: Clock;
  #read: Promise<ReceiverCredentials> | null = null;
  #readAtMs = 0;

  constructor(dir: string, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** As of some seconds ago at most; what is not there is nothing. Rejects with CONFIG_INVALID. */
  current(): Promise<ReceiverCredentials> {
    const nowMs = this.#clock.now();
    if (this.#read === null || nowMs - this.#readAtMs >= againMs) {
      this.#readAtMs = nowMs;
      this.#read = this.#load();
    }
    return this.#read;
  }

  async #load(): Promise<ReceiverCredentials> {
    if (this.#dir === '') return { headers: {}, ca: '' };
    const place = join(this.#dir, headersFile);
    const [headers, ca] = await Promise.all([textOf(place), textOf(join(this.#dir, caFile))]);
    return { headers: headersOf(headers, place), ca };
  }
}

/** '' for a file that is not there. */
async function textOf(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length <= bytesMax) return text;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return '';
    throw new MeshError('CONFIG_INVALID', { place: file, reason: `cannot be read (${code})` }, { cause: error });
  }
  throw new MeshError('CONFIG_INVALID', { place: file, reason: `more than ${bytesMax} characters` });
}

/** Lines of `NAME: VALUE`; empty ones and those that begin with `#` are left out. */
function headersOf(text: string, file: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name = '', value = ''] = header.exec(line) ?? [];
    const place = `${file}:${at + 1}`;
    if (name === '') throw new MeshError('CONFIG_INVALID', { place, reason: 'not a header: write NAME: VALUE' });
    const lower = name.toLowerCase();
    if (ours.has(lower)) throw new MeshError('CONFIG_INVALID', { place, reason: `${lower} is set by the sender` });
    headers[lower] = value;
  }
  return headers;
}
