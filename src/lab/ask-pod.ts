// Asks the application in a pod of a lab over HTTP, from within the pod and past the mesh: so samples are told to fail.
import { spawn } from 'node:child_process';
import { MeshError } from '../base/errors.ts';
import type { LabClient } from './control-client.ts';
import { enterCommand } from './enter.ts';

const askTimeoutMs = 10_000;
const applicationPort = 8080;

/**
 * The body of what it answers to `method` and `requestPath`. `name` is a pod or `deploy/NAME`. Rejects with
 * NOT_REACHABLE when it does not answer, NOT_FOUND when there is no such pod.
 */
export async function askPod(
  lab: LabClient,
  namespace: string,
  name: string,
  method: string,
  requestPath: string,
): Promise<string> {
  const target = await lab.target('pod', namespace, name);
  const script = `fetch('http://127.0.0.1:${applicationPort}${requestPath}', { method: '${method}' })
    .then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
  const { command, args } = enterCommand(target, [process.execPath, '-e', script]);
  const child = spawn(command, args, { env: target.env, stdio: ['ignore', 'pipe', 'ignore'], timeout: askTimeoutMs });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code === 0) return text;
  const hint = `see: ambientctl lab logs -n ${namespace} ${name}`;
  throw new MeshError('NOT_REACHABLE', { what: name, reason: `no answer to ${requestPath}`, hint });
}
