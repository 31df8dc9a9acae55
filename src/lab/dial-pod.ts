// A connection to a port of a pod, as from within it: what `kubectl port-forward` gets from a kubelet.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { MeshError } from '../base/errors.ts';
import { modulePath } from '../base/project-files.ts';
import { nodeNetns } from './network.ts';
import type { Pod } from './objects.ts';
import { podNetns } from './pod-links.ts';
import { inNetns } from './run.ts';
import { isControllerPod } from './system-pods.ts';

const wordsMax = 1_000;

/** A stream to the port on loopback of the pod's network; what cannot be reached is its error. */
export async function dialPod(pod: Pod, port: number): Promise<Duplex> {
  // The controller lives in the fabric, as the lab does.
  if (isControllerPod(pod)) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }
  const { hostNetwork, nodeName = '' } = pod.spec;
  const netns = hostNetwork === true ? nodeNetns(nodeName) : podNetns(pod.metadata.uid ?? '');
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', modulePath('src/lab/dial-main.ts')];
  const [program = '', ...args] = [...inNetns(netns), ...node, String(port)];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  // The types know web streams alone here; Node joins its own as well.
  const both = { readable: child.stdout, writable: child.stdin } as unknown as Parameters<typeof Duplex.from>[0];
  const stream = Duplex.from(both);
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, wordsMax);
  });
  const failed = (reason: string): void => {
    const hint = 'does it listen there?';
    stream.destroy(new MeshError('NOT_REACHABLE', { what: `port ${port}`, reason, hint }));
  };
  child.on('error', (error) => failed(error.message));
  child.on('close', (code) => {
    if (code !== 0) failed(words.trim() || `exit code ${code}`);
  });
  stream.on('close', () => child.kill('SIGKILL'));
  return stream;
}
