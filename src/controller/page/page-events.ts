// The stream of server-sent events: each view whole, when it is another one than was sent. Whoever reads slowly gets
// the newest when they have read what they got, and what was between is skipped; nothing queues.
import { type HeartbeatView, pageEvents } from '../../model/page-views.ts';
import type { MeshWatch, Topic } from './mesh-watch.ts';

const topics = ['graph', 'proxies', 'problems'] as const satisfies readonly Topic[];
const heartbeatEveryMs = 5_000;

type Watched = Pick<MeshWatch, 'watch' | 'tell' | 'last' | 'next'>;

/** What is sent before the first event: how soon a browser connects again. */
export const eventsStart = 'retry: 1000\n\n';

/** Text of events until `signal`. Watching begins with the first that is taken and ends with the last. */
export async function* pageEventsOf(watched: Watched, signal: AbortSignal, nowMs: () => number): AsyncIterable<string> {
  const release = watched.watch();
  const sent = new Map<Topic, number>();
  let beatAtMs = 0;
  try {
    await watched.tell('graph');
    while (!signal.aborted) {
      let text = '';
      for (const topic of topics) {
        const told = watched.last(topic);
        if (told === null || told.version === sent.get(topic)) continue;
        sent.set(topic, told.version);
        text += eventText(pageEvents[topic], told.json);
      }
      const now = nowMs();
      if (now >= beatAtMs) {
        beatAtMs = now + heartbeatEveryMs;
        const beat: HeartbeatView = { time: new Date(now).toISOString(), everyMs: heartbeatEveryMs };
        text += eventText(pageEvents.heartbeat, JSON.stringify(beat));
      }
      if (text !== '') yield text;
      await watched.next(signal);
    }
  } finally {
    release();
  }
}

/** JSON has no line breaks of its own. */
function eventText(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`;
}
