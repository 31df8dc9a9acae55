// Chooses a node for each pod that has none: pods of one workload spread over the nodes, then all pods do.
import { matches, type NodeObject, type Pod } from './objects.ts';
import { controllerOf } from './pods.ts';

/** The node for `pod`, or null when no node has the labels that it wants. `pods` are all others, scheduled or not. */
export function chooseNode(pod: Pod, nodes: readonly NodeObject[], pods: readonly Pod[]): string | null {
  const owner = controllerOf(pod)?.uid;
  const fitting = nodes.filter((node) => matches({ matchLabels: pod.spec.nodeSelector ?? {} }, node.metadata.labels));
  let best: { name: string; siblings: number; all: number } | null = null;
  for (const node of fitting) {
    const here = pods.filter(
      (each) => each.spec.nodeName === node.metadata.name && each.metadata.uid !== pod.metadata.uid,
    );
    const siblings = owner === undefined ? 0 : here.filter((each) => controllerOf(each)?.uid === owner).length;
    const candidate = { name: node.metadata.name, siblings, all: here.length };
    if (best === null || siblings < best.siblings || (siblings === best.siblings && here.length < best.all))
      best = candidate;
  }
  return best?.name ?? null;
}
