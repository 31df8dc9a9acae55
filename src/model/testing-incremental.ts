// For property tests: a compiler that sees resources come, change and go, beside one that sees only what is left.
import fc from 'fast-check';
import { MeshCompiler } from './compiler.ts';
import { type Resource, resourceKey } from './resources.ts';
import type { ServiceRoutes } from './route-types.ts';
import type { MeshUpdate } from './types.ts';

export type CompileStep =
  | { readonly kind: 'upsert' | 'delete'; readonly resource: Resource }
  | { readonly kind: 'flush' };

/** A resource comes or is replaced; or it goes; or the compiler is flushed. */
export function compileStep(resources: fc.Arbitrary<Resource>): fc.Arbitrary<CompileStep> {
  return fc.oneof(
    { weight: 6, arbitrary: resources.map((resource) => ({ kind: 'upsert', resource }) as const) },
    { weight: 3, arbitrary: resources.map((resource) => ({ kind: 'delete', resource }) as const) },
    { weight: 2, arbitrary: fc.constant({ kind: 'flush' } as const) },
  );
}

/**
 * Carries out `steps` and flushes at the end. Returns the compiler that saw them all, one from scratch that was given
 * what is `present` afterwards, in another order. `follow` is told of every update of the first.
 */
export function compileBySteps(
  steps: readonly CompileStep[],
  options: ConstructorParameters<typeof MeshCompiler>[0],
  follow: (update: MeshUpdate) => void,
): { readonly compiler: MeshCompiler; readonly scratch: MeshCompiler; readonly present: readonly Resource[] } {
  const compiler = new MeshCompiler(options);
  const byKey = new Map<string, Resource>();
  for (const step of steps) {
    if (step.kind === 'flush') follow(compiler.flush().update);
    else if (step.kind === 'upsert') {
      compiler.upsert(step.resource);
      byKey.set(resourceKey(step.resource), step.resource);
    } else {
      compiler.delete(step.resource.kind, step.resource.namespace, step.resource.name);
      byKey.delete(resourceKey(step.resource));
    }
  }
  follow(compiler.flush().update);
  const present = [...byKey.values()];
  const scratch = new MeshCompiler(options);
  for (const resource of present.toReversed()) scratch.upsert(resource);
  scratch.flush();
  return { compiler, scratch, present };
}

/** The route tables that a proxy holds which follows updates: a function for `follow`, and the tables by service. */
export function routeFollower(): {
  readonly follow: (update: MeshUpdate) => void;
  readonly tables: Map<string, ServiceRoutes>;
} {
  const tables = new Map<string, ServiceRoutes>();
  const follow = (update: MeshUpdate): void => {
    for (const key of update.removedRoutes ?? []) tables.delete(key);
    for (const one of update.routes ?? []) tables.set(one.service, one);
  };
  return { follow, tables };
}
