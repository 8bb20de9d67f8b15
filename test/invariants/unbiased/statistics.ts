/** The few functions that the criteria need. */

/** P(X > x) of a chi-square distribution: the regularised upper incomplete gamma function at (df/2, x/2). */
export function chiSquareTail(x: number, degreesOfFreedom: number): number {
  if (x <= 0) return 1;
  const a = degreesOfFreedom / 2;
  const z = x / 2;
  const scale = Math.exp(a * Math.log(z) - z - logGamma(a));
  return z < a + 1 ? 1 - scale * lowerSeries(a, z) : scale * upperFraction(a, z);
}

function lowerSeries(a: number, z: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < 1_000 && term > sum * 1e-16; n++) {
    term *= z / (a + n);
    sum += term;
  }
  return sum;
}

/** Lentz's continued fraction. */
function upperFraction(a: number, z: number): number {
  let b = z + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < 1_000; n++) {
    const an = -n * (n - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return fraction;
}

/** Of a multiple of one half. */
function logGamma(a: number): number {
  let at = a % 1 === 0 ? 1 : 0.5;
  let sum = at === 1 ? 0 : Math.log(Math.PI) / 2;
  for (; at < a; at++) sum += Math.log(at);
  return sum;
}

/** How likely counts as far from what is expected are: `[observed, expected]`, `constraints` of them not free. */
export type Cell = readonly [observed: number, expected: number];

export function gTestOfFit(cells: readonly Cell[], constraints: number): number {
  let g = 0;
  for (const [observed, expected] of cells) if (observed > 0) g += 2 * observed * Math.log(observed / expected);
  return chiSquareTail(g, cells.length - constraints);
}

/** How likely it is that yes and no, counted in groups, differ as much where they do not depend on the group. */
export function gTestOfIndependence(groups: ReadonlyArray<{ yes: number; no: number }>): number {
  const filled = groups.filter(({ yes, no }) => yes + no > 0);
  const yes = filled.reduce((sum, group) => sum + group.yes, 0);
  const no = filled.reduce((sum, group) => sum + group.no, 0);
  if (yes === 0 || no === 0 || filled.length < 2) return 1;
  const cells = filled.flatMap((group): Cell[] => {
    const share = (group.yes + group.no) / (yes + no);
    return [
      [group.yes, yes * share],
      [group.no, no * share],
    ];
  });
  return gTestOfFit(cells, filled.length + 1);
}
