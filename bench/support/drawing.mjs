import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

const SYLLABLES = ['or', 'ca', 'ti', 'mer', 'pay', 'lo', 'sto', 'ck', 'in', 'ven', 'to', 'ry', 'pri', 'ce', 'us', 'er'];

/** Draws values of all kinds; the same ones for the same seed. */
export function drawing(seed) {
  const generator = xoroshiro128plus(seed);
  const fraction = () => (generator.next() >>> 0) / 2 ** 32;
  const whole = (min, max) => min + Math.floor(fraction() * (max - min + 1));
  const of = (values) => values[whole(0, values.length - 1)];
  return {
    fraction,
    whole,
    of,
    chance: (share) => fraction() < share,
    some: (values) => values.slice(0, whole(1, values.length)),
    word: () => Array.from({ length: whole(2, 4) }, () => of(SYLLABLES)).join(''),
    hex: (length) => Array.from({ length }, () => whole(0, 15).toString(16)).join(''),
    address: () => `10.${whole(0, 255)}.${whole(0, 255)}.${whole(1, 254)}`,
    weighted(choices) {
      let left = fraction() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) {
        left -= weight;
        if (left < 0) return choice;
      }
      return choices.at(-1)[1];
    },
  };
}
