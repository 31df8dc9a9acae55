// `kubectl exec` and `kubectl logs` in a lab: programs are run in the namespaces of a container, logs are its file.
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { ContainerAccess, ContainerName, ExecRequest, LogRequest } from './api-server/containers.ts';
import { ApiFailure, badRequest } from './api-server/failure.ts';
import { type ContainerRunner, enteredArgv } from './container-runner.ts';
import { baseEnvironment } from './environment.ts';
import { resolveInside } from './images.ts';
import type { Kubelet } from './kubelet.ts';
import { lastLines, readLogs } from './log-files.ts';
import type { Pod } from './objects.ts';
import { podLogDir } from './pod-runner.ts';
import { shellQuote } from './run.ts';
import type { ObjectStore } from './store.ts';

export interface ContainerAccessParts {
  readonly store: ObjectStore;
  readonly kubelet: () => Kubelet;
  readonly logsDir: string;
}

/** The containers of a lab. */
export function containerAccess({ store, kubelet, logsDir }: ContainerAccessParts): ContainerAccess {
  const podOf = ({ namespace, pod }: ContainerName): Pod => {
    const found = store.get<Pod>('Pod', namespace, pod);
    if (found !== undefined) return found;
    throw new ApiFailure(404, 'NotFound', `pods "${pod}" not found`, { name: pod, kind: 'pods' });
  };
  const running = (name: ContainerName): ContainerRunner & { readonly pid: number } => {
    const pod = podOf(name);
    const container = containerIn(pod, name);
    const runner = kubelet().runnerOf(pod)?.container(container) ?? null;
    if (runner !== null && runner.pid !== null) return runner as ContainerRunner & { readonly pid: number };
    throw badRequest(`container ${container} of pod ${name.pod} does not run; see its status`);
  };
  return {
    check: (name) => void running(name),
    exec: (request) => spawnIn(running(request), request),
    async *logs(request, signal) {
      const pod = podOf(request);
      const file = path.join(podLogDir(logsDir, pod), `${containerIn(pod, request)}.log`);
      yield* logOf(file, request, signal);
    },
  };
}

/** The name of the container that is meant. Throws 400 for one that the pod does not have. */
function containerIn({ spec }: Pod, { container, pod }: ContainerName): string {
  const names = [...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name);
  const name = container ?? names[0] ?? '';
  if (!names.includes(name)) throw badRequest(`container ${name} is not valid for pod ${pod}`);
  return name;
}

function spawnIn(runner: ContainerRunner & { readonly pid: number }, request: ExecRequest): ChildProcess {
  const program = resolveInside(runner.image, request.command);
  // `script` has a terminal to give; how large it is nobody tells it.
  const argv = request.tty ? ['script', '-qfec', program.map(shellQuote).join(' '), '/dev/null'] : program;
  const [command = '', ...args] = enteredArgv(runner.pid, runner.plan?.cwd ?? '/', argv);
  const env = { ...baseEnvironment(), ...(request.tty ? { TERM: 'xterm' } : {}), ...runner.plan?.env };
  return spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
}

async function* logOf(file: string, { follow, tailLines }: LogRequest, signal: AbortSignal): AsyncGenerator<Buffer> {
  if (tailLines === null || follow) {
    yield* readLogs([file], follow, signal);
    return;
  }
  const lines = lastLines(file, tailLines);
  if (lines.length > 0) yield Buffer.from(`${lines.join('\n')}\n`);
}
