// What a container runs. There are no images in a lab: a container runs its command on the host's file system, and an
// image is a name for a command, built in or given with `--image`.
import { modulePath } from '../base/project-files.ts';
import type { Container } from './objects.ts';
import { shellQuote } from './run.ts';
import { waypointImage } from './waypoint-objects.ts';

interface BuiltIn {
  /** From the project's root. */
  readonly entry: string;
  readonly args?: readonly string[];
  /** Programs that the image brings along, for `lab exec` and `kubectl exec`, by name. */
  readonly programs?: Readonly<Record<string, string>>;
}

const echo = { entry: 'src/lab/echo/main.ts', programs: { client: 'src/lab/echo/client-main.ts' } } as const;
const builtIn: Readonly<Record<string, BuiltIn>> = {
  'ambient/echo': echo,
  'ambient/load': { entry: 'src/lab/load/main.ts' },
  [waypointImage]: { entry: 'src/bin/ambient-waypoint.ts' },
  // The manifests of Gateway API's conformance suite run as they are.
  'registry.k8s.io/gateway-api/conformance/echo-advanced': { ...echo, args: ['--answer=lines'] },
};

export type Resolved =
  | { readonly ok: true; readonly argv: readonly string[]; readonly isOfMesh?: true }
  | { readonly ok: false; readonly reason: string };

/**
 * The command line of a container: its own `command`, or that of its image, and its `args`.
 * `images` are the commands of `--image`, by image name with or without tag; they win over those built in.
 * `isOfMesh`: with `hasRootfs`, what is to run in the image of the mesh's own programs.
 */
export function resolveCommand(
  container: Container,
  images: Readonly<Record<string, string>>,
  hasRootfs = false,
): Resolved {
  const args = container.args ?? [];
  if (container.command !== undefined && container.command.length > 0)
    return { ok: true, argv: [...container.command, ...args] };
  const image = container.image ?? '';
  const bare = withoutTag(image);
  const mapped = images[image] ?? images[bare];
  if (mapped !== undefined) {
    // The command is a line as a person types it: the shell takes it apart.
    return { ok: true, argv: ['sh', '-c', `exec ${mapped} "$@"`, bare, ...args] };
  }
  if (bare === waypointImage && hasRootfs) return { ok: true, argv: ['ambient-waypoint', ...args], isOfMesh: true };
  const own = builtIn[bare];
  if (own !== undefined) return { ok: true, argv: [...programOf(own.entry), ...(own.args ?? []), ...args] };
  const hint = `give the container a command, or map the image: --image ${shellQuote(image || container.name)}=COMMAND`;
  return { ok: false, reason: `there is no image '${image}' in a lab; ${hint}` };
}

/** What to run for `argv` inside a container: programs that its image brings are found by their name. */
export function resolveInside(image: string, argv: readonly string[]): readonly string[] {
  const [name = '', ...args] = argv;
  const programs = builtIn[withoutTag(image)]?.programs ?? {};
  const entry = Object.hasOwn(programs, name) ? programs[name] : undefined;
  return entry === undefined ? argv : [...programOf(entry), ...args];
}

function programOf(entry: string): readonly string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', modulePath(entry)];
}

/** `registry:5000/name:tag@digest` → `registry:5000/name`; the usual registry's prefix is dropped. */
function withoutTag(image: string): string {
  const name = (image.split('@', 1)[0] as string).replace(/:[^/:]*$/, '');
  return name.replace(/^docker\.io\//, '').replace(/^library\//, '');
}
