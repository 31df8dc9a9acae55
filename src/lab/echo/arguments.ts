// The arguments of an echo process: those of Istio's test application that manifests for it give, and `--answer`.
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { EchoOptions, EchoPort, PortMode } from './options.ts';

export type EchoArguments = Pick<EchoOptions, 'ports' | 'answer' | 'certificate'> & { readonly version: string };

const ports = { type: 'string', multiple: true, default: [] as string[] } as const;
const text = { type: 'string', default: '' } as const;

/**
 * `--port N` and `--grpc N` (HTTP of every kind), `--tcp N`, `--tls N` (those of the ports that speak TLS), each as
 * often as wanted; `--crt`, `--key`, `--version`; `--answer json|lines`. Throws CONFIG_INVALID.
 */
export function echoArguments(args: readonly string[]): EchoArguments {
  const values = parsed(args);
  const { answer } = values;
  if (answer !== 'json' && answer !== 'lines') throw invalid('--answer', `'${answer}' is neither json nor lines`);
  const secure = new Set(values.tls.map((one) => portOf('--tls', one)));
  const modeOf = (port: number): PortMode => (secure.has(port) ? 'https' : 'http');
  const http = [...values.port, ...values.grpc].map((one) => portOf('--port', one));
  const tcp = values.tcp.map((one) => portOf('--tcp', one));
  const all: EchoPort[] = [
    ...http.map((port) => ({ name: `http-${port}`, port, mode: modeOf(port) })),
    ...tcp.map((port) => ({ name: `tcp-${port}`, port, mode: 'tcp' as const })),
  ];
  return {
    ports: all,
    answer,
    version: values.version,
    certificate: { certFile: values.crt, keyFile: values.key },
  };
}

function parsed(args: readonly string[]) {
  try {
    const options = { port: ports, grpc: ports, tcp: ports, tls: ports, crt: text, key: text, version: text } as const;
    return parseArgs({ args: [...args], options: { ...options, answer: { type: 'string', default: 'json' } } }).values;
  } catch (error) {
    throw invalid('arguments', messageOf(error));
  }
}

function portOf(option: string, given: string): number {
  const port = Number(given);
  if (given === '' || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw invalid(option, `'${given}' is no port number`);
  }
  return port;
}

function invalid(place: string, reason: string): MeshError {
  return new MeshError('CONFIG_INVALID', { place, reason });
}
