// Who may look at the live page: only browsers that asked for it under a name of its own (a page of somebody else that
// had its name resolve to us is refused), and, where the page is to be reached from elsewhere, who can say who they
// are.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { splitHostPort } from '../../base/ip.ts';
import type { ControllerConfig } from '../../config/controller.ts';
import { type SimpleResponse, text } from '../../telemetry/metrics-server.ts';

type GateOptions = Pick<ControllerConfig['page'], 'names' | 'passwordFile' | 'tokenFile'>;

/** Null for a request that may pass; otherwise the answer: 405, 421 or 401. */
export function pageGate({ names, passwordFile, tokenFile }: GateOptions) {
  const known = new Set(['localhost', ...names.map((name) => name.toLowerCase())]);
  return (request: IncomingMessage): SimpleResponse | null => {
    const { method = '', headers } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      return { ...text(405, 'this page changes nothing: use GET\n'), headers: { allow: 'GET, HEAD' } };
    }
    if (!isOwnName(headers.host ?? '', known)) {
      return text(421, 'this is not the name of this page; see page.names in the configuration of the controller\n');
    }
    const isOpen = passwordFile === '' && tokenFile === '';
    if (isOpen || isAllowed(headers.authorization ?? '', passwordFile, tokenFile)) return null;
    return {
      ...text(401, 'this page asks for a password or a token\n'),
      headers: { 'www-authenticate': 'Basic realm="Ambient", charset="UTF-8"' },
    };
  };
}

/** An address cannot be made to resolve to somebody else. */
function isOwnName(host: string, known: ReadonlySet<string>): boolean {
  const name = (splitHostPort(host)?.host ?? host).toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return isIP(name) !== 0 || known.has(name);
}

function isAllowed(authorization: string, passwordFile: string, tokenFile: string): boolean {
  const [, scheme = '', value = ''] = /^(\S+)\s+(\S+)\s*$/.exec(authorization) ?? [];
  switch (scheme.toLowerCase()) {
    case 'basic':
      return isIn(passwordFile, Buffer.from(value, 'base64').toString('utf8'));
    case 'bearer':
      return isIn(tokenFile, value);
    default:
      return false;
  }
}

/** Compared in constant time with every line, so that the time says nothing of how much was right. */
function isIn(file: string, given: string): boolean {
  if (file === '') return false;
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split(/\r?\n/);
  } catch {
    return false; // nobody is let in by a file that cannot be read
  }
  const digest = (word: string): Buffer => createHash('sha256').update(word).digest();
  const asked = digest(given);
  let found = false;
  for (const line of lines) {
    if (line !== '' && timingSafeEqual(digest(line), asked)) found = true;
  }
  return found;
}
