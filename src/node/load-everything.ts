// Loads all modules of a node proxy, for the compile cache, which is written when the process ends: see
// `compile-cache.ts`.
import { createRequire } from 'node:module';
import './program.ts';
import './start-node.ts';

// As piscina loads it: the cache tells the two ways apart.
createRequire(import.meta.url)('./data-thread.ts');
