// `ambientctl check --pre`: can Ambient be installed in this cluster, by whoever asks.
import { type Check, type CheckCategory, check } from '../analyze/checks.ts';
import { messageOf } from '../base/errors.ts';
import { watchedKinds } from '../kube/api/kinds.ts';
import type { CommandContext } from './command.ts';
import { clusterClientOf } from './which-mesh.ts';

const oldestMinor = 30;
const hint = 'docs/install.md';

/** What is made by an installation: group, resource. */
const made = [
  ['', 'namespaces'],
  ['', 'serviceaccounts'],
  ['', 'configmaps'],
  ['', 'services'],
  ['apps', 'deployments'],
  ['apps', 'daemonsets'],
  ['rbac.authorization.k8s.io', 'clusterroles'],
  ['rbac.authorization.k8s.io', 'clusterrolebindings'],
  ['apiextensions.k8s.io', 'customresourcedefinitions'],
  ['admissionregistration.k8s.io', 'validatingwebhookconfigurations'],
] as const;

/** Throws INPUT_UNREADABLE for a kubeconfig that is none; what the cluster does not answer is a check that failed. */
export async function preChecks(context: CommandContext): Promise<CheckCategory[]> {
  const client = await clusterClientOf(context);
  try {
    const answered = await client.json({ path: '/version' }).catch((error: unknown) => messageOf(error));
    if (typeof answered === 'string') {
      return [{ categoryName: 'kubernetes API', checks: [check('the API server answers', answered, hint)] }];
    }
    const { major = '', minor = '' } = answered as { readonly major?: string; readonly minor?: string };
    const number = Number.parseInt(minor, 10);
    const tooOld = number >= oldestMinor || Number(major) > 1 ? null : `it is ${major}.${minor}`;
    const isUnknown = Number.isNaN(number);
    return [
      {
        categoryName: 'kubernetes API',
        checks: [
          check('the API server answers', null, hint),
          isUnknown
            ? check(`it is 1.${oldestMinor} or newer`, 'it does not say its version', hint, 'warning')
            : check(`it is 1.${oldestMinor} or newer`, tooOld, hint),
        ],
      },
      { categoryName: 'permissions', checks: await Promise.all(made.map((one) => mayCreate(client, one))) },
      { categoryName: 'definitions of others', checks: await foreignKinds(client) },
    ];
  } finally {
    await client.close();
  }
}

type Client = Awaited<ReturnType<typeof clusterClientOf>>;

async function mayCreate(client: Client, [group, resource]: (typeof made)[number]): Promise<Check> {
  const description = `${resource} can be made`;
  const spec = { resourceAttributes: { verb: 'create', group, resource } };
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec };
  try {
    const review = (await client.json({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body,
    })) as { readonly status?: { readonly allowed?: boolean; readonly reason?: string } };
    return check(
      description,
      review.status?.allowed === true ? null : review.status?.reason || 'it is not allowed',
      hint,
    );
  } catch (error) {
    return check(description, messageOf(error), hint);
  }
}

/** Their absence is no error: the mesh works without, and takes them up when they come. */
async function foreignKinds(client: Client): Promise<Check[]> {
  const groups = [...new Set(watchedKinds.filter(({ isCustom }) => isCustom).map(({ group }) => group))];
  const foreign = groups.filter((group) => group !== 'ambient.mesh');
  return Promise.all(
    foreign.map(async (group) => {
      const absent = await client.json({ path: `/apis/${group}` }).then(
        () => null,
        () => 'it is not; what is written in its kinds is used as soon as it is',
      );
      return check(`${group} is defined`, absent, 'docs/install.md#the-kinds-of-its-own', 'warning');
    }),
  );
}
