// What chaos does to a lab: each action says what it is about to do, does it, and leaves what `heal` ends.
import type { LabFault, LabLink } from '../../src/lab/control-types.ts';
import { node1, node2 } from '../lab/harness.ts';
import { between, oneOf } from './random.ts';
import { denyFlip, type Scene, victim } from './scene.ts';

export interface Stage {
  readonly scene: Scene;
  readonly random: () => number;
  readonly say: (words: string) => void;
  /** While `work` runs processes are killed. */
  readonly killing: (who: 'proxy' | 'victim' | 'thread', work: () => Promise<unknown>) => Promise<void>;
  /** From now on, or no more, pod `flip` may call nobody. */
  readonly denied: (isDenied: boolean) => void;
}

type Action = (stage: Stage) => Promise<void>;

const nodes = [node1, node2] as const;
const restartMs = 90_000;

/** Any link: for faults that lose nothing; one that puts a program into the link does, for a moment. */
const linkOf = (random: () => number): LabLink =>
  oneOf<LabLink>(random, [
    { node: node1 },
    { node: node2 },
    { pod: { namespace: 'app', name: 'alpha' } },
    { pod: { namespace: 'app', name: 'beta' } },
  ]);

/**
 * Where many packets are lost, only links between proxies: a reset that is lost on a pod's link is lost for good, as it
 * is without a mesh, and the other end learns of it by the kernel's probes (`pod-load.ts`), or at its idle timeout.
 */
const nodeLinkOf = (random: () => number): LabLink => ({ node: oneOf(random, nodes) });

async function fault({ scene, say }: Stage, what: LabFault): Promise<void> {
  const { type, ...rest } = what;
  say(`fault ${type} ${JSON.stringify(rest)}`);
  await scene.lab.client.fault(what);
}

/** What a mesh must live with while other things happen to it. */
const mild: readonly Action[] = [
  async () => undefined,
  async (stage) => fault(stage, { type: 'delay', ...nodeLinkOf(stage.random), delayMs: between(stage.random, 2, 40) }),
  async (stage) =>
    fault(stage, { type: 'loss', ...nodeLinkOf(stage.random), ratio: between(stage.random, 1, 5) / 100 }),
  async (stage) =>
    fault(stage, {
      type: 'reorder',
      ...nodeLinkOf(stage.random),
      ratio: between(stage.random, 5, 40) / 100,
      delayMs: 5,
    }),
  async (stage) =>
    fault(stage, { type: 'rate', ...linkOf(stage.random), bitsPerSecond: between(stage.random, 5, 50) * 1_000_000 }),
  async (stage) => fault(stage, { type: 'disk-full', node: oneOf(stage.random, nodes) }),
];

/** What nothing gets through: it is held for a while, and healed. */
const severe: readonly Action[] = [
  async (stage) => fault(stage, { type: 'cut', ...nodeLinkOf(stage.random) }),
  async (stage) => fault(stage, { type: 'partition', node: node1, peer: node2 }),
  async (stage) =>
    fault(stage, { type: 'loss', ...nodeLinkOf(stage.random), ratio: between(stage.random, 20, 60) / 100 }),
  async (stage) => fault(stage, { type: 'stop', part: { kind: 'node', name: oneOf(stage.random, nodes) } }),
  async (stage) => {
    const part = { kind: 'node', name: oneOf(stage.random, nodes) } as const;
    await fault(stage, { type: 'slow', part, ratio: between(stage.random, 2, 6) / 10 });
  },
  async (stage) => fault(stage, { type: 'stop', part: { kind: 'controller' } }),
  async (stage) => fault(stage, { type: 'garbage' }),
];

/** What changes the mesh or its programs, and is over when it returns. */
const changes: readonly Action[] = [
  async ({ scene, random, say, killing }) => {
    const name = oneOf(random, nodes);
    say(`kill the proxy of ${name}`);
    await killing('proxy', () => scene.lab.client.restart({ kind: 'node', name }, { kill: true }, restartMs));
  },
  async ({ scene, random, say }) => {
    const name = oneOf(random, nodes);
    say(`rolling restart of ${name}`);
    const { replaced } = await scene.lab.client.restart({ kind: 'node', name }, { rolling: true }, restartMs);
    say(`  ended with ${replaced?.exitCode}, ${replaced?.left} left`);
    if (replaced?.exitCode !== 0) throw new Error('a drained proxy must end with 0');
  },
  async ({ scene, random, say, killing }) => {
    const name = oneOf(random, nodes);
    say(`crash a data thread of ${name}`);
    await killing('thread', () => scene.lab.client.admin('node', name, '/debug/kill-thread?id=0', { method: 'POST' }));
  },
  async ({ scene, random, say }) => {
    const name = oneOf(random, nodes);
    say(`main thread of ${name} is busy for a second`);
    await scene.lab.client.admin('node', name, '/debug/block-main?ms=1000', { method: 'POST' });
  },
  async ({ scene, say }) => {
    say('kill the controller');
    await scene.lab.client.restart({ kind: 'controller' }, { kill: true }, restartMs);
  },
  async ({ scene, say, denied }) => {
    say('refuse pod flip');
    await scene.lab.apply(denyFlip);
    denied(true);
    await pause(800);
    denied(false);
    say('allow pod flip');
    await scene.lab.delete(denyFlip);
  },
  async ({ scene, say, killing }) => {
    say('replace pod victim');
    await killing('victim', async () => {
      await scene.lab.delete(victim);
      await scene.lab.apply(victim);
      await scene.serveVictim();
    });
  },
];

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One piece of chaos: something severe for a while, or a change under something mild; then all is healed. */
export async function episode(stage: Stage): Promise<void> {
  const { scene, random, say } = stage;
  if (random() < 0.4) {
    await oneOf(random, severe)(stage);
    await pause(between(random, 300, 2_500));
  } else {
    await oneOf(random, mild)(stage);
    await oneOf(random, changes)(stage);
    await pause(between(random, 100, 800));
  }
  say('heal');
  await scene.lab.client.fault({ type: 'heal' });
}
