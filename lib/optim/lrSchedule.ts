import { SecateurError, checkOptions } from '../core/errors.js';

/** The learning rate at a step (0 is the first), from the rate a group was given. Pure: no state. */
export type Schedule = (step: number, lr: number) => number;

function positive(where: string, name: string, x: number): void {
  if (!(x > 0) || !Number.isFinite(x))
    throw new SecateurError('ERR_ARGUMENT', `${where}: ${name} is ${x}; needs a number above 0.`, { [name]: x });
}

/** `lr` at every step. */
export const constantLr: Schedule = (_, lr) => lr;

/** `lr * gamma^floor(step / stepSize)`. */
export function stepLr(options: { readonly stepSize: number; readonly gamma?: number }): Schedule {
  checkOptions('stepLr', options, ['stepSize', 'gamma']);
  const { stepSize, gamma = 0.1 } = options;
  positive('stepLr', 'stepSize', stepSize);
  return (step, lr) => lr * gamma ** Math.floor(step / stepSize);
}

/** `lr * gamma^(number of milestones that are <= step)`. */
export function multiStepLr(options: { readonly milestones: readonly number[]; readonly gamma?: number }): Schedule {
  checkOptions('multiStepLr', options, ['milestones', 'gamma']);
  const { milestones, gamma = 0.1 } = options;
  return (step, lr) => lr * gamma ** milestones.filter((m) => m <= step).length;
}

/**
 * `etaMin + (lr - etaMin) (1 + cos(pi step / tMax)) / 2`. Beyond `tMax` the wave goes on, as in PyTorch; with `hold` the
 * rate stays at `etaMin`.
 */
export function cosineLr(options: {
  readonly tMax: number;
  readonly etaMin?: number;
  readonly hold?: boolean;
}): Schedule {
  checkOptions('cosineLr', options, ['tMax', 'etaMin', 'hold']);
  const { tMax, etaMin = 0, hold = false } = options;
  positive('cosineLr', 'tMax', tMax);
  return (step, lr) => {
    const t = hold ? Math.min(step, tMax) : step;
    return etaMin + ((lr - etaMin) * (1 + Math.cos((Math.PI * t) / tMax))) / 2;
  };
}

/** `lr (1 - min(step, total) / total)^power`. */
export function polynomialLr(options: { readonly total: number; readonly power?: number }): Schedule {
  checkOptions('polynomialLr', options, ['total', 'power']);
  const { total, power = 1 } = options;
  positive('polynomialLr', 'total', total);
  return (step, lr) => lr * (1 - Math.min(step, total) / total) ** power;
}

export interface OneCycleOptions {
  /** Steps of the whole cycle. */
  readonly total: number;
  /** Share of the cycle in which the rate rises (default 0.3). */
  readonly pctStart?: number;
  /** The way between two rates: half a cosine wave (default) or a straight line. */
  readonly anneal?: 'cos' | 'linear';
  /** The first rate is `lr / divFactor` (default 25). */
  readonly divFactor?: number;
  /** The last rate is the first one divided by this (default 1e4). */
  readonly finalDivFactor?: number;
}

/**
 * From `lr / divFactor` up to `lr` at step `pctStart * total - 1`, then down to `lr / divFactor / finalDivFactor` at
 * step `total - 1`, where it stays. Source: Smith and Topin 2017.
 */
export function oneCycleLr(options: OneCycleOptions): Schedule {
  checkOptions('oneCycleLr', options, ['total', 'pctStart', 'anneal', 'divFactor', 'finalDivFactor']);
  const { total, pctStart = 0.3, anneal = 'cos', divFactor = 25, finalDivFactor = 1e4 } = options;
  positive('oneCycleLr', 'total', total);
  positive('oneCycleLr', 'divFactor', divFactor);
  positive('oneCycleLr', 'finalDivFactor', finalDivFactor);
  if (!(pctStart >= 0 && pctStart <= 1))
    throw new SecateurError('ERR_ARGUMENT', `oneCycleLr: pctStart is ${pctStart}; needs a share from 0 to 1.`);
  if (anneal !== 'cos' && anneal !== 'linear')
    throw new SecateurError('ERR_ARGUMENT', `oneCycleLr: anneal is '${String(anneal)}'; needs 'cos' or 'linear'.`);
  const between = (from: number, to: number, f: number): number =>
    anneal === 'cos' ? to + ((from - to) / 2) * (1 + Math.cos(Math.PI * f)) : from + (to - from) * f;
  const top = pctStart * total - 1;
  const last = total - 1;
  return (step, lr) => {
    const first = lr / divFactor;
    if (step < top) return between(first, lr, step / top);
    return between(lr, first / finalDivFactor, last > top ? Math.min(1, (step - top) / (last - top)) : 0);
  };
}

/** `lr * step / steps` for the first `steps` steps, then the schedule `then`, whose own step 0 is that moment. */
export function linearWarmup(steps: number, then: Schedule = constantLr): Schedule {
  if (!(steps >= 0) || !Number.isFinite(steps))
    throw new SecateurError('ERR_ARGUMENT', `linearWarmup: ${steps} steps; needs 0 or more.`, { steps });
  return (step, lr) => (step < steps ? (lr * step) / steps : then(step - steps, lr));
}

interface Scheduled {
  readonly groups: readonly { readonly options: { readonly lr: number } }[];
  setLr(lr: number, group?: number): void;
}

/**
 * Drives an optimizer's learning rates: one schedule for all groups, or one for each. Sets the rates of step 0 at once;
 * `step()` after each optimizer step sets the next.
 */
export class LrScheduler {
  readonly #optimizer: Scheduled;
  readonly #schedules: Schedule | readonly Schedule[];
  #lrs: number[];
  #step = 0;

  /** @throws ERR_ARGUMENT when there is not one schedule a group */
  constructor(optimizer: Scheduled, schedule: Schedule | readonly Schedule[]) {
    if (typeof schedule !== 'function' && schedule.length !== optimizer.groups.length) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `LrScheduler: ${schedule.length} schedules for ${optimizer.groups.length} groups; give one, or one a group.`,
      );
    }
    this.#optimizer = optimizer;
    this.#schedules = schedule;
    this.#lrs = optimizer.groups.map((g) => g.options.lr);
    this.#apply();
  }

  /** The step whose rates are set. */
  get steps(): number {
    return this.#step;
  }

  step(): void {
    this.#step++;
    this.#apply();
  }

  #apply(): void {
    this.#optimizer.groups.forEach((group, i) => {
      // A group that was added later starts from the rate it came with.
      const lr = (this.#lrs[i] ??= group.options.lr);
      const schedule = typeof this.#schedules === 'function' ? this.#schedules : (this.#schedules[i] ?? constantLr);
      this.#optimizer.setLr(schedule(this.#step, lr), i);
    });
  }

  /** The step and the rates the groups were given, for a checkpoint. */
  json(): { readonly step: number; readonly lrs: readonly number[] } {
    return { step: this.#step, lrs: [...this.#lrs] };
  }

  /** Goes on from what `json()` gave. @throws ERR_CHECKPOINT when it does not fit */
  load(json: { readonly step: number; readonly lrs: readonly number[] }): void {
    if (!Number.isSafeInteger(json.step) || json.step < 0 || json.lrs?.length !== this.#optimizer.groups.length) {
      throw new SecateurError(
        'ERR_CHECKPOINT',
        `LrScheduler.load: needs a step and ${this.#optimizer.groups.length} rates. Build the optimizer as it was when it was saved.`,
      );
    }
    this.#step = json.step;
    this.#lrs = [...json.lrs];
    this.#apply();
  }
}
