// Fetches small texts, such as key sets, with a time limit and a size limit. Redirects are not followed: what is
// fetched is what somebody wrote into a policy.
import { MeshError } from '../../base/errors.ts';
import { undici } from './packages.ts';

/** Of an answer. */
export const fetchedBytesMax = 1024 * 1024;

/**
 * The body of a GET. Throws LIMIT_REACHED when it is too large, NOT_REACHABLE for another status than 200, and what
 * undici throws (also for the time-out).
 */
export async function fetchText(url: string, timeoutMs: number): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const { statusCode, body } = await undici().request(url, { signal, headers: { accept: 'application/json' } });
  body.on('error', () => undefined);
  if (statusCode !== 200) {
    body.destroy();
    const hint = 'redirects are not followed';
    throw new MeshError('NOT_REACHABLE', { what: url, reason: `it answered ${statusCode}`, hint });
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > fetchedBytesMax) {
      body.destroy();
      throw new MeshError('LIMIT_REACHED', { limit: 'fetchedBytesMax', value: fetchedBytesMax, what: url });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
