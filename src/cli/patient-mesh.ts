// A mesh that says what it waits for, on a terminal, when an answer takes longer than a moment.
import type { CliIo } from './io.ts';
import type { MeshPart, OperableMesh } from './mesh.ts';
import { shown } from './progress.ts';

/** `mesh`, whose questions are shown while they are not answered. */
export function patientMesh(mesh: OperableMesh, io: CliIo): OperableMesh {
  const of = ({ kind, name }: MeshPart): string =>
    kind === 'controller' ? `the controller of ${mesh.title}` : `${kind} ${name} of ${mesh.title}`;
  return {
    title: mesh.title,
    isLab: mesh.isLab,
    logsCommand: (part) => mesh.logsCommand(part),
    stream: (path, signal) => firstShown(io, `the controller of ${mesh.title}`, mesh.stream(path, signal)),
    page: (path, signal) => mesh.page(path, signal),
    logSources: () => mesh.logSources(),
    run: (pod, argv, timeoutMs) => mesh.run(pod, argv, timeoutMs),
    restartNodeProxy: (node, timeoutMs) => mesh.restartNodeProxy(node, timeoutMs),
    admin: (part, path) => shown(io, of(part), () => mesh.admin(part, path)),
    tell: (part, path) => shown(io, of(part), () => mesh.tell(part, path)),
    text: (part, path) => shown(io, of(part), () => mesh.text(part, path)),
    nodes: () => shown(io, `the nodes of ${mesh.title}`, () => mesh.nodes()),
    objects: (kind, ...which) =>
      shown(io, `objects of kind ${kind} of ${mesh.title}`, () => mesh.objects(kind, ...which)),
    patch: (target, patch) => shown(io, `${target.kind} ${target.name}`, () => mesh.patch(target, patch)),
    apply: (manifest) => shown(io, `${manifest.kind} ${manifest.metadata.name}`, () => mesh.apply(manifest)),
    remove: (target) => shown(io, `${target.kind} ${target.name}`, () => mesh.remove(target)),
  };
}

/** The items as they come; until the first is there, what is waited for is shown. */
async function* firstShown<Item>(io: CliIo, what: string, source: AsyncIterable<Item>): AsyncGenerator<Item> {
  const items = source[Symbol.asyncIterator]();
  try {
    let item = await shown(io, what, () => items.next());
    for (; item.done !== true; item = await items.next()) yield item.value;
  } finally {
    void items.return?.();
  }
}
