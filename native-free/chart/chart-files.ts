// The helm chart, made of what `ambientctl install` prints: src/install is run with holes instead of values, and what
// comes out, with conditions where it differs, are the templates.
import { MeshError } from '../../src/base/errors.ts';
import { version } from '../../src/base/version.ts';
import { object } from '../../src/config/schema.ts';
import { controllerConfig } from '../../src/install/controller-objects.ts';
import { installManifests } from '../../src/install/manifests.ts';
import { nextSteps } from '../../src/install/next-steps.ts';
import { liveFields, nodeConfig } from '../../src/install/node-objects.ts';
import { onceBooleans } from '../../src/install/older-values.ts';
import { configText, digestLength, digestOf, type Manifest } from '../../src/install/parts.ts';
import { type InstallValues, readValues, valuesShape } from '../../src/install/values.ts';
import { comments } from './comments.ts';
import { type Holes, hole, holesOf, variantsOf } from './holes.ts';
import { lineText, templateLines, type Writing } from './template-text.ts';
import { valuesSchema, valuesTable, valuesYaml } from './values-text.ts';
import { type Guarded, joined } from './variants.ts';

/** Rises with every change of the chart; the version of the programs is another. */
export const chartVersion = '0.2.0';
const made = 'Made by `npm run generate` from src/install, which is to be changed instead';

/** Programs with a configuration file, and the fields of it that nobody restarts for. */
const programs = [
  { name: 'controller', config: controllerConfig, live: [] },
  { name: 'node', config: nodeConfig, live: liveFields },
] as const;

/** Every file of the chart that is made, by its path in it. Throws USAGE for what a template cannot say. */
export async function chartFiles(): Promise<ReadonlyMap<string, string>> {
  const schema = chartSchema();
  const defaults = { ...(await readValues({})), namespace: '' };
  const holes = holesOf(schema);
  return new Map([
    ['Chart.yaml', chartYaml],
    ['values.yaml', valuesYaml(schema, defaults)],
    ['values.schema.json', valuesSchema(schema)],
    ['templates/_defaults.tpl', defaultsText(defaults)],
    ['templates/_next.tpl', nextText(holes.values)],
    ['templates/_config.tpl', configsText(holes)],
    ...templates(holes),
  ]);
}

/** The table of values for docs/install.md. */
export async function documentedValues(): Promise<string> {
  return valuesTable(object(valuesShape).schema, await readValues({}));
}

/** The namespace is what helm says; who writes one has to write the same. */
function chartSchema() {
  const { schema } = object(valuesShape);
  const properties = schema['properties'] as Readonly<Record<string, object>>;
  const description = "Helm's own `--namespace`; another one is refused";
  return { ...schema, properties: { ...properties, namespace: { description, type: 'string' } } };
}

const chartYaml = `# ${made}.
apiVersion: v2
name: ambient
description: A service mesh without sidecars; a namespace joins with one label.
type: application
version: ${chartVersion}
appVersion: ${JSON.stringify(version)}
kubeVersion: '>=1.30.0-0'
keywords: [service-mesh, mtls, gateway-api]
`;

function defaultsText(defaults: object): string {
  return [
    `{{- /* ${made}. */ -}}`,
    '{{- define "ambient.defaults" -}}',
    JSON.stringify(defaults, null, 2),
    '{{- end }}',
    '',
    '{{- define "ambient.onceBooleans" -}}',
    JSON.stringify(onceBooleans),
    '{{- end }}',
    '',
  ].join('\n');
}

/** What comes next, for NOTES.txt. */
function nextText(values: InstallValues): string {
  return [
    `{{- /* ${made}. */ -}}`,
    '{{- define "ambient.nextSteps" }}',
    ...nextSteps(values).map((step) => `  ${lineText(step)}`),
    '{{- end }}',
    '',
  ].join('\n');
}

/** What each program's file says by the installation, and with what the values add to it. */
function configsText(holes: Holes): string {
  const lines = [`{{- /* ${made}. */ -}}`];
  for (const { name, config, live } of programs) {
    const chosenBy = (values: InstallValues) => config({ ...values, [name]: { ...values[name], config: {} } });
    const { whole, variants } = variantsOf(holes, chosenBy);
    const chosen = joined(whole, variants, name);
    const fixed = live.length === 0 ? '$config' : `omit $config ${live.map((one) => `"${one}"`).join(' ')}`;
    lines.push(
      `{{- define "ambient.${name}.chosen" -}}`,
      ...templateLines(chosen, name, { numbers: holes.numbers, comments: new Map() }),
      '{{- end }}',
      '',
      `{{- define "ambient.${name}.config" -}}`,
      `{{- $config := deepCopy .Values.${name}.config -}}`,
      `{{- include "ambient.fill" (list $config (include "ambient.${name}.chosen" . | fromYaml)) -}}`,
      '{{- toPrettyJson $config }}',
      '{{- end }}',
      '',
      `{{- define "ambient.${name}.digest" -}}`,
      `{{- $config := include "ambient.${name}.config" . | fromJson -}}`,
      `{{- printf "%s\\n" (${fixed} | toPrettyJson) | sha256sum | trunc ${digestLength} }}`,
      '{{- end }}',
      '',
    );
  }
  return lines.join('\n');
}

function templates(holes: Holes): Map<string, string> {
  const manifestsOf = (values: InstallValues) =>
    new Map(installManifests(values).flatMap((one) => entryOf(one, values)));
  const { whole, variants } = variantsOf(holes, (values) => Object.fromEntries(manifestsOf(values)));
  const all = joined(whole, variants, 'chart');
  const left = new Map(Object.entries(comments));
  const writing: Writing = { numbers: holes.numbers, comments: { get: (at: string) => taken(left, at) } };
  const files = new Map<string, string[]>();
  for (const part of all.is === 'mapping' ? all.parts : []) {
    const file = fileOf((whole as Readonly<Record<string, Manifest>>)[part.key]!);
    const lines = files.get(file) ?? [`# ${made}.`, '{{- include "ambient.values" . }}'];
    files.set(file, [...lines, ...documentLines(part, writing)]);
  }
  if (left.size > 0) throw new MeshError('USAGE', { reason: `comments of nothing: ${[...left.keys()].join(', ')}` });
  return new Map([...files].map(([file, lines]) => [`templates/${file}`, `${lines.join('\n')}\n`]));
}

function taken(left: Map<string, string>, at: string): string | undefined {
  const comment = comments[at];
  left.delete(at);
  if (comment === undefined && at.includes('.capabilities.add.')) {
    throw new MeshError('USAGE', { reason: `${at}: say in native-free/chart/comments.ts what it is for` });
  }
  return comment;
}

/** An object by kind and name, with holes where a helper of the chart is asked; none for the namespace. */
function entryOf(manifest: Manifest, values: InstallValues): [string, unknown][] {
  if (manifest.kind === 'Namespace') return [];
  const includes = new Map<string, string>();
  for (const { name, config, live } of programs) {
    const all = config(values);
    const fixed = Object.fromEntries(
      Object.entries(all).filter(([field]) => !(live as readonly string[]).includes(field)),
    );
    includes.set(configText(all), hole('include', `include "ambient.${name}.config" . as text`));
    for (const digest of Object.values(digestOf(fixed))) {
      includes.set(digest, hole('include', `include "ambient.${name}.digest" .`));
    }
  }
  const filled = (tree: unknown, key: string): unknown => {
    if (typeof tree === 'string') return includes.get(tree) ?? tree;
    if (typeof tree !== 'object' || tree === null) return tree;
    const [, of] = (key === 'resources' && /⟦value (\S+)\.cpu⟧/.exec(JSON.stringify(tree))) || [];
    if (of !== undefined) return hole('include', `include "ambient.resources" .Values.${of} as YAML`);
    if (Array.isArray(tree)) return tree.map((each) => filled(each, ''));
    return Object.fromEntries(Object.entries(tree).map(([name, each]) => [name, filled(each, name)]));
  };
  return [[`${manifest.kind}/${manifest.metadata.name}`, filled(manifest, '')]];
}

function documentLines({ key, when, node }: Guarded, writing: Writing): string[] {
  const kind = key.slice(0, key.indexOf('/'));
  const lines = templateLines(node, `${key.slice(0, key.indexOf('/'))}`, writing);
  const labels = lines.indexOf('  labels:');
  lines.splice(labels + 1, 0, '    {{- include "ambient.labels" . | nindent 4 }}');
  if (kind === 'CustomResourceDefinition') {
    // Deleting a definition deletes everything of its kind.
    lines.splice(labels, 0, '  annotations:', '    helm.sh/resource-policy: keep');
  }
  const guard = when.length > 1 ? `and ${when.map((one) => `(${one})`).join(' ')}` : when[0];
  return guard === undefined ? ['---', ...lines] : [`{{- if ${guard} }}`, '---', ...lines, '{{- end }}'];
}

/** One file for each part and kind; what says who may do what is together. */
function fileOf({ kind, metadata }: Manifest): string {
  if (kind === 'CustomResourceDefinition') return `crds/${metadata.name.replace(/\..*$/, '')}.yaml`;
  const part = (metadata.labels['app.kubernetes.io/name'] ?? '').replace(/^ambient-?/, '');
  const topic = /^(Cluster)?Role(Binding)?$/.test(kind) ? 'rbac' : kind.toLowerCase();
  return `${part === '' ? '' : `${part}/`}${topic}.yaml`;
}
