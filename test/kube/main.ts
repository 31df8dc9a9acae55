// `npm run test:kube -- --kubeconfig FILE [--webhook-host ADDRESS] [FILTER…]`: the suite of the API server against a
// real one, in namespaces of its own, and the controller on it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

const usage = `usage: npm run test:kube -- --kubeconfig FILE [--webhook-host ADDRESS] [FILTER…]
  --kubeconfig    the way to an API server, as an administrator; only what the suite makes is touched
  --webhook-host  an address of this machine that the API server reaches; default 127.0.0.1
  FILTER          only cases with that in their name
Namespaces and owned objects go away by the cluster's own controllers: a kube-apiserver alone also needs
kube-controller-manager --controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller
`;

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { kubeconfig: { type: 'string' }, 'webhook-host': { type: 'string', default: '127.0.0.1' } },
  });
  const { kubeconfig } = values;
  if (kubeconfig === undefined || !existsSync(kubeconfig)) {
    process.stderr.write(kubeconfig === undefined ? usage : `ambient: there is no file ${kubeconfig}\n`);
    process.exitCode = 2;
    return;
  }
  const env = {
    ...process.env,
    AMBIENT_KUBECONFIG: path.resolve(kubeconfig),
    AMBIENT_WEBHOOK_HOST: values['webhook-host'],
  };
  const patterns = positionals.map((text) => `--test-name-pattern=${text}`);
  const files = [
    'api-server.test.ts',
    'controller.test.ts',
    'admission.test.ts',
    'events.test.ts',
    'port-forward.test.ts',
    'writes.test.ts',
  ].map((name) => path.join(import.meta.dirname, name));
  const child = spawn(process.execPath, ['--test', '--test-concurrency=1', ...patterns, ...files], {
    env,
    stdio: 'inherit',
  });
  child.on('close', (code) => {
    process.exitCode = code ?? 1;
  });
}

try {
  main();
} catch (error) {
  process.stderr.write(`ambient: ${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
