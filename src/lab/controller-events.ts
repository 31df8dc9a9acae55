// Events of the lab's controller, which has no cluster to write them into: the lab puts them where kubectl and
// `ambientctl lab get events` look.
import type { EventListView, EventView } from '../model/views.ts';
import type { HttpAnswer } from './ask-http.ts';
import type { KubeObject } from './objects.ts';
import type { ObjectStore } from './store.ts';

const component = 'ambient.mesh/controller';

/** Takes over what the controller answers to `GET /events`; what does not come, or cannot be read, is no news. */
export async function takeEvents(store: Pick<ObjectStore, 'put'>, asked: Promise<HttpAnswer>): Promise<void> {
  try {
    const { status, body } = await asked;
    if (status !== 200) return;
    for (const event of (JSON.parse(body) as EventListView).events) store.put(objectOf(event));
  } catch {
    // It restarts: the next answer has all that it told since.
  }
}

function objectOf({ name, regarding, type, reason, note, count, firstTime, lastTime }: EventView): KubeObject {
  const namespace = regarding.namespace === '' ? 'default' : regarding.namespace;
  const involvedObject = Object.fromEntries(Object.entries(regarding).filter(([, value]) => value !== ''));
  const times = { firstTimestamp: seconds(firstTime), lastTimestamp: seconds(lastTime) };
  const said = { type, reason, message: note, count, ...times, source: { component }, reportingComponent: component };
  return { apiVersion: 'v1', kind: 'Event', metadata: { name, namespace }, involvedObject, ...said } as KubeObject;
}

/** The second's precision that these fields have. */
function seconds(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}
