// Runs a program in a container through the API server: the subresource `exec` over WebSocket, `v5.channel.k8s.io` or
// v4 (apimachinery, remotecommand). It takes `create` for `pods/exec`, and `get` before Kubernetes 1.35.
import { MeshError } from '../../base/errors.ts';
import type { KubeAccess } from './access.ts';
import { openPodSocket } from './pod-socket.ts';

/** What a program wrote, and what it ended with. */
export interface RanProgram {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const [stdoutChannel, stderrChannel, errorChannel] = [1, 2, 3];
const outputBytesMax = 16 * 1024 * 1024;

/**
 * Runs `argv` without standard input, in the pod's first container. Rejects with KUBE_API when the API server refuses,
 * NOT_REACHABLE when it breaks off, TIMED_OUT.
 */
export async function execInPod(
  access: KubeAccess,
  { namespace, name }: PodName,
  argv: readonly string[],
  timeoutMs: number,
): Promise<RanProgram> {
  const query = new URLSearchParams({ stdout: '1', stderr: '1' });
  for (const word of argv) query.append('command', word);
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/exec?${query}`;
  const what = `pod ${namespace}/${name}`;
  const broken = (reason: string): MeshError => new MeshError('NOT_REACHABLE', { what, reason, hint: 'does it run?' });
  const { socket, dispatcher } = await openPodSocket(access, path, protocols, broken);
  const texts: Buffer[][] = [[], [], [], []];
  let bytes = 0;
  const closed = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    closed.reject(new MeshError('TIMED_OUT', { what: `${argv[0]} in ${what}`, timeoutMs, hint: 'is it stuck?' }));
  }, timeoutMs);
  socket.addEventListener('message', ({ data }) => {
    const frame = Buffer.from(data as ArrayBuffer);
    bytes += frame.length;
    if (bytes > outputBytesMax) closed.reject(broken(`it wrote more than ${outputBytesMax} bytes`));
    else texts[frame[0] ?? 0]?.push(frame.subarray(1));
  });
  socket.addEventListener('error', () => closed.reject(broken('the connection broke off')));
  socket.addEventListener('close', () => closed.resolve());
  try {
    await closed.promise;
  } finally {
    clearTimeout(timer);
    socket.close();
    void dispatcher.destroy();
  }
  const textOf = (channel: number): string => Buffer.concat(texts[channel] ?? []).toString('utf8');
  const code = exitCodeOf(textOf(errorChannel));
  if (code === null) throw broken(textOf(errorChannel) || 'it did not say how it ended');
  return { stdout: textOf(stdoutChannel), stderr: textOf(stderrChannel), code };
}

/** Of the `Status` that ends it; null for one that says something else. */
function exitCodeOf(text: string): number | null {
  try {
    const said = JSON.parse(text) as { status?: string; details?: { causes?: { reason: string; message: string }[] } };
    if (said.status === 'Success') return 0;
    const cause = said.details?.causes?.find(({ reason }) => reason === 'ExitCode');
    return cause === undefined ? null : Number(cause.message);
  } catch {
    return null;
  }
}
