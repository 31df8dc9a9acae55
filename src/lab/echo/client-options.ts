// What the `client` of an echo's image is told: one URL, and options as of Istio's test application.
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '../../base/errors.ts';
import { durationOf } from './duration.ts';

export interface EchoClientOptions {
  /** `http:`, `https:` or `grpc:`. */
  readonly url: URL;
  readonly method: string;
  /** Names and values in the order that they were given. */
  readonly headers: readonly (readonly [string, string])[];
  readonly count: number;
  /** Per request. */
  readonly timeoutMs: number;
  /** Of a gRPC call. */
  readonly message: string;
}

const schemes: readonly string[] = ['http:', 'https:', 'grpc:'];
const countMax = 100_000;

/** Reads the words after `client`. Throws USAGE. */
export function echoClientOptions(args: readonly string[]): EchoClientOptions {
  const { values, positionals } = parsed(args);
  const [address = ''] = positionals;
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !schemes.includes(url.protocol) || positionals.length !== 1) {
    throw usage(`client wants one http://, https:// or grpc:// URL, not '${positionals.join(' ')}'`);
  }
  const count = Number(values.count);
  if (!Number.isInteger(count) || count < 1 || count > countMax) throw usage(`--count: ${values.count}`);
  return {
    url,
    count,
    method: values.method,
    message: values.msg,
    headers: values.header.map(headerOf),
    timeoutMs: durationOf(values.timeout, '--timeout'),
  };
}

function parsed(args: readonly string[]) {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const options = {
    header: { type: 'string', short: 'H', multiple: true, default: [] as string[] },
    method: text('GET'),
    count: text('1'),
    timeout: text('10s'),
    msg: text('HelloWorld'),
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw usage(messageOf(error));
  }
}

function headerOf(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  if (colon < 1) throw usage(`-H wants NAME:VALUE, not '${line}'`);
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

function usage(reason: string): MeshError {
  return new MeshError('USAGE', { reason });
}
