import { SingleBar } from 'cli-progress';

/** What a training step has to tell the person watching. Fractions are in [0, 1]. */
export interface StepFigures {
  readonly loss: number;
  readonly accuracy?: number;
  readonly sparsity?: number;
  /** Images (or sequences) of this step alone; the rate is worked out from it. */
  readonly images: number;
}

export interface ProgressOptions {
  /** What the steps are, at the start of the line: 'train', 'prune' ... */
  readonly label: string;
  /** The step that ends the work. */
  readonly total: number;
  /** Where to write; the process's standard error when not given, so that standard output stays data. */
  readonly stream?: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Seconds between lines where there is no terminal. */
  readonly everySeconds?: number;
  /** Milliseconds now. */
  readonly clock?: () => number;
  /** NO_COLOR (any non-empty value: no colours) and TERM ('dumb': no bar) are read from it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The rate is that of the last so many seconds: it follows a change of speed within a screenful. */
const RATE_WINDOW_MS = 15_000;
const BAR = '{bar}';

/** Seconds as `m:ss` or `h:mm:ss`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/**
 * The progress of a training run: a bar with loss, accuracy, sparsity, images a second and time left on a terminal, and
 * the same figures as a plain line every so often anywhere else (a log file, a pipe). Call `stop()` in a `finally`: it
 * gives the terminal back.
 */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #stream: NodeJS.WritableStream;
  readonly #clock: () => number;
  readonly #bar: SingleBar | undefined;
  readonly #samples: { time: number; step: number; images: number }[] = [];
  #step = 0;
  #images = 0;
  #figures: StepFigures | undefined;
  #written: number;
  #pending = false;

  constructor(options: ProgressOptions) {
    const stream = options.stream ?? process.stderr;
    const env = options.env ?? process.env;
    this.#options = options;
    this.#stream = stream;
    this.#clock = options.clock ?? Date.now;
    this.#written = this.#clock();
    if (stream.isTTY !== true || env['TERM'] === 'dumb') return;
    const plain = (env['NO_COLOR'] ?? '') !== '';
    this.#bar = new SingleBar({
      stream,
      format: `{label} ${plain ? BAR : `\u001b[32m${BAR}\u001b[39m`} {text}`,
      barsize: 20,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      forceRedraw: true, // a note may have been written over it
      hideCursor: true,
      gracefulExit: false, // on SIGINT the trainer finishes its step first, and then stops this bar
    });
    this.#bar.start(options.total, 0, { label: options.label, text: '' });
  }

  /** Records step number `step` (the first is 1) as done. */
  update(step: number, figures: StepFigures): void {
    const now = this.#clock();
    this.#step = step;
    this.#images += figures.images;
    this.#figures = figures;
    this.#samples.push({ time: now, step, images: this.#images });
    while (this.#samples.length > 2 && now - (this.#samples[0]?.time ?? now) > RATE_WINDOW_MS) this.#samples.shift();
    this.#pending = true;
    if (this.#bar !== undefined) this.#bar.update(step, { text: this.#text() });
    else if (now - this.#written >= (this.#options.everySeconds ?? 10) * 1000) this.#writeLine(now);
  }

  /** Writes a line of text above the bar. */
  note(text: string): void {
    this.#stream.write(this.#bar === undefined ? `${text}\n` : `\r\u001b[2K${text}\n`);
  }

  /** Ends the display with the last figures and frees the terminal. Stopping twice does nothing. */
  stop(): void {
    if (this.#bar !== undefined) this.#bar.stop();
    else if (this.#pending) this.#writeLine(this.#clock());
    this.#pending = false;
  }

  #writeLine(now: number): void {
    this.#stream.write(`${this.#options.label} ${this.#text()}\n`);
    this.#written = now;
    this.#pending = false;
  }

  #text(): string {
    const parts = [`${this.#step}/${this.#options.total}`];
    const figures = this.#figures;
    if (figures !== undefined) {
      parts.push(`loss ${figures.loss.toFixed(4)}`);
      if (figures.accuracy !== undefined) parts.push(`accuracy ${(100 * figures.accuracy).toFixed(1)} %`);
      if (figures.sparsity !== undefined) parts.push(`sparsity ${(100 * figures.sparsity).toFixed(1)} %`);
    }
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first !== undefined && last !== undefined && last.time > first.time) {
      const seconds = (last.time - first.time) / 1000;
      parts.push(`${Math.round((last.images - first.images) / seconds)} images/s`);
      const left = ((this.#options.total - last.step) * seconds) / (last.step - first.step);
      if (Number.isFinite(left)) parts.push(`${formatSeconds(left)} left`);
    }
    return parts.join('  ');
  }
}
