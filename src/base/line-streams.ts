// Streams of text that come as they are made: the lines of one, and the pieces of several as they come.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** The lines of `input` until it ends, `signal` aborts, or the reader goes; then `input` is destroyed. */
export async function* linesOf(input: Readable, signal?: AbortSignal): AsyncGenerator<string> {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const stop = (): void => lines.close();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const line of lines) yield line;
  } finally {
    signal?.removeEventListener('abort', stop);
    input.destroy();
  }
}

/**
 * The items of all, from whichever has some, until all have ended or the reader goes. Rejects with the first that does.
 */
export async function* merged<Item>(all: readonly AsyncGenerator<Item>[]): AsyncGenerator<Item> {
  const next = (one: AsyncGenerator<Item>) => one.next().then((item) => ({ one, item }));
  const waiting = new Map(all.map((one) => [one, next(one)]));
  try {
    while (waiting.size > 0) {
      const { one, item } = await Promise.race(waiting.values());
      if (item.done === true) {
        waiting.delete(one);
        continue;
      }
      yield item.value;
      waiting.set(one, next(one));
    }
  } finally {
    for (const one of waiting.keys()) void one.return(undefined);
  }
}

/** The items of `source` until it ends or `signal` aborts; a source that hangs then is not waited for. */
export async function* untilAborted<Item>(source: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item> {
  const items = source[Symbol.asyncIterator]();
  const stopped = Promise.withResolvers<null>();
  const stop = (): void => stopped.resolve(null);
  signal.addEventListener('abort', stop, { once: true });
  try {
    while (!signal.aborted) {
      const next = items.next();
      next.catch(() => {});
      const item = await Promise.race([next, stopped.promise]);
      if (item === null || item.done === true) return;
      yield item.value;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    void items.return?.()?.catch(() => {});
  }
}
