// What restores the nodes of a cluster: the rules of capture stay when a proxy ends, so somebody has to take them away.
import { captureCapabilities, isInPods } from './node-objects.ts';
import { containerOf, imageUseOf, type Manifest, metaOf, selectorOf } from './parts.ts';
import type { InstallValues } from './values.ts';

export const cleanupName = 'ambient-cleanup';
/** Waits without a program of ours, and ends when it is told to; Perl is what the node proxy is started by. */
const wait = ['perl', '-e', '$SIG{TERM} = sub { exit 0 }; sleep'];

/** The folder above that of the state: a mount itself could be emptied, and not taken away. */
const volumeMounts = [{ name: 'run', mountPath: '/host/run' }];
const uninstall = ['ambient-node', 'uninstall', '--state', '/host/run/ambient'];
const inPods = ['--namespaces', '/host/run/netns'];

/** A DaemonSet whose pods are ready when their node is as it was. The node proxies have to be gone before. */
export function cleanupObjects(values: InstallValues): Manifest[] {
  const { namespace, image } = values;
  const name = cleanupName;
  const command = isInPods(values) ? [...uninstall, ...inPods] : uninstall;
  const { image: ref, imagePullPolicy } = containerOf(name, imageUseOf(values), {
    cpu: '',
    memory: '',
    memoryLimit: '',
  });
  const container = (title: string, command: readonly string[], capabilities: object, more: object = {}) => ({
    name: title,
    image: ref,
    imagePullPolicy,
    command,
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsUser: 0, capabilities },
    ...more,
  });
  const pod = {
    automountServiceAccountToken: false,
    hostNetwork: true,
    priorityClassName: 'system-node-critical',
    ...(image.pullSecrets.length === 0 ? {} : { imagePullSecrets: image.pullSecrets.map((each) => ({ name: each })) }),
    terminationGracePeriodSeconds: 1,
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ operator: 'Exists' }],
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    initContainers: [container(name, command, captureCapabilities(values), { volumeMounts })],
    containers: [container('done', wait, { drop: ['ALL'] })],
    volumes: [{ name: 'run', hostPath: { path: '/run', type: 'Directory' } }],
  };
  const { labels } = metaOf(name, name);
  const spec = { selector: { matchLabels: selectorOf(name) }, template: { metadata: { labels }, spec: pod } };
  return [{ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: metaOf(name, name, namespace), spec }];
}
