// What one part of the linter is: a look at the whole mesh, and where it tells what it finds.
import type { FindingCode } from '../model/finding-codes.ts';
import type { Resource, ResourcePath } from '../model/resources.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';
import type { Change } from './changes.ts';

/** Looks at the whole mesh and says what it finds. */
export type Analyzer = (mesh: AnalyzedMesh, report: Report) => void;

/** Where a finding goes; `path` is the value that it is about. */
export type Report = (
  resource: Resource,
  code: FindingCode,
  path: ResourcePath,
  message: string,
  fix: string,
  /** What would mend it, where that has one meaning. */
  change?: Change | null,
) => void;
