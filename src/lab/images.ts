// What a container runs. There are no images in a lab: a container runs its command on the host's file system, and an
// image is a name for a command, built in or given with `--image`.
import { modulePath } from '../base/project-files.ts';
import type { Container } from './objects.ts';
import { shellQuote } from './run.ts';

const builtIn = {
  'ambient/echo': 'src/lab/echo/main.ts',
  'ambient/load': 'src/lab/load/main.ts',
  'ambient/waypoint': 'src/bin/ambient-waypoint.ts',
} as const satisfies Record<string, string>;

export type Resolved =
  | { readonly ok: true; readonly argv: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/**
 * The command line of a container: its own `command`, or that of its image, and its `args`.
 * `images` are the commands of `--image`, by image name with or without tag; they win over those built in.
 */
export function resolveCommand(container: Container, images: Readonly<Record<string, string>>): Resolved {
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
  if (bare in builtIn) {
    const entry = modulePath(builtIn[bare as keyof typeof builtIn]);
    return { ok: true, argv: [process.execPath, '--disable-warning=ExperimentalWarning', entry, ...args] };
  }
  const hint = `give the container a command, or map the image: --image ${shellQuote(image || container.name)}=COMMAND`;
  return { ok: false, reason: `there is no image '${image}' in a lab; ${hint}` };
}

/** `registry:5000/name:tag@digest` → `registry:5000/name`; the usual registry's prefix is dropped. */
function withoutTag(image: string): string {
  const name = (image.split('@', 1)[0] as string).replace(/:[^/:]*$/, '');
  return name.replace(/^docker\.io\//, '').replace(/^library\//, '');
}
