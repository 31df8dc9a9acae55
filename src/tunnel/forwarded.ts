// The `forwarded` header of HBONE (RFC 7239): where the tunnelled connection came from, and the service it was made to.
import { hostPort } from '../io/connect-tcp.ts';

export interface Forwarded {
  /** '' when the header names none, or none that is an address. */
  readonly address: string;
  /** 0 when absent. */
  readonly port: number;
  /** Service host name, '' when absent. */
  readonly host: string;
}

const nothing: Forwarded = { address: '', port: 0, host: '' };

/** A longer header is not looked at. */
const lengthLimit = 1024;

/** Returns `for="ADDRESS:PORT"`, IPv6 in brackets, and `;host=HOST` when `host` is not empty. */
export function formatForwarded(address: string, port: number, host = ''): string {
  const from = `for="${hostPort(address, port)}"`;
  return host === '' ? from : `${from};host=${host}`;
}

/** Reads the first element of a `forwarded` header; what cannot be read is absent in the answer. Never throws. */
export function parseForwarded(text: string): Forwarded {
  if (text === '' || text.length > lengthLimit) return nothing;
  let { address, port, host } = nothing;
  const element = text.split(',', 1)[0]!;
  for (const pair of element.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0) continue;
    const name = pair.slice(0, equals).trim().toLowerCase();
    const value = unquote(pair.slice(equals + 1).trim());
    if (name === 'host' && /^[\x21-\x7e]+$/.test(value)) host = value;
    if (name === 'for') ({ address, port } = parseNode(value));
  }
  return { address, port, host };
}

function parseNode(value: string): { address: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(value);
  const port = Number(match?.[3] ?? 0);
  const address = match?.[1] ?? match?.[2] ?? '';
  return port > 65_535 ? { address: '', port: 0 } : { address, port };
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
