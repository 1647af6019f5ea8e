// Golden GraNet, as far as it goes: the Erdos-Renyi-kernel densities, which the budgets share.
import { z } from 'zod';
import { erkDensities } from '../../src/pdp/budget.js';
import type { Comparison } from './comparison.js';
import { type Part, part } from './part.js';

function densities(c: Comparison): void {
  const settings = z.object({ shapes: z.array(z.array(z.number())), power: z.literal(1) });
  const { shapes } = c.file.section('erk', settings);
  for (const { key, density } of c.file.cases('erk', { density: z.number() }))
    c.close(key, erkDensities(shapes, density));
}

export const granetParts: readonly Part[] = [part('erk', densities)];
