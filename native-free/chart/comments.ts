// What a reader of the chart is told above a field, by kind and path; one that stands above nothing is an error.

const node = 'DaemonSet.spec.template.spec';
const nodeContainer = `${node}.containers.ambient-node`;
const controller = 'Deployment.spec.template.spec';

export const comments: Readonly<Record<string, string>> = {
  'DaemonSet.spec.updateStrategy': 'The new proxy takes over while the old one drains.',
  [`${node}.tolerations`]: 'Every node, whatever its taints.',
  [`${node}.automountServiceAccountToken`]: 'It asks the controller alone, never the API server.',
  [`${node}.volumes.token`]: 'A token that is good for the controller alone.',
  [`${node}.volumes.state`]: 'In memory on every common distribution, so that keys may be kept across a restart.',
  [`${nodeContainer}.securityContext.capabilities.add."NET_ADMIN"`]:
    'nftables and the policy route of capture, transparent sockets, marks on packets',
  [`${nodeContainer}.securityContext.capabilities.add."SYS_ADMIN"`]:
    'entering the network namespaces of pods (setns); only for capture inside of pods',
  [`${node}.volumes.namespaces`]: 'The network namespaces of pods, as containerd and CRI-O keep them.',
  'Deployment.spec.strategy': 'The next one is there before the last one goes.',
  [`${controller}.volumes.ca`]: "The copy of the root's key never gets to a disk.",
};
