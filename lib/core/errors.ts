/** What went wrong, as a stable word that programs can test. The message is for people. */
export type ErrorCode =
  | 'ERR_SHAPE_MISMATCH'
  | 'ERR_DTYPE'
  | 'ERR_DEVICE'
  | 'ERR_ARGUMENT'
  | 'ERR_OPTION'
  | 'ERR_DISPOSED'
  | 'ERR_OOM'
  | 'ERR_KERNEL'
  | 'ERR_NO_KERNEL'
  | 'ERR_CUDA'
  | 'ERR_CUDA_UNAVAILABLE'
  | 'ERR_CAPTURE'
  | 'ERR_NATIVE_LOAD'
  | 'ERR_CHECKPOINT'
  | 'ERR_DATA'
  | 'ERR_IO'
  | 'ERR_SCOPE'
  | 'ERR_NO_GRADIENT'
  | 'ERR_GRADIENT'
  | 'ERR_GRAPH_FREED'
  | 'ERR_SAVED_MODIFIED'
  | 'ERR_STATE_DICT'
  | 'ERR_NOT_FINITE'
  | 'ERR_TARGET'
  | 'ERR_NOT_DETERMINISTIC'
  | 'ERR_ABORTED';

/** Every error this package throws. `code` is stable; `data` carries the figures the message mentions. */
export class SecateurError extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;
  constructor(code: ErrorCode, message: string, data: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SecateurError';
    this.code = code;
    this.data = data;
  }
}

/** Number of single-character edits between two words (Levenshtein), for "did you mean". */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known word nearest to `word`, if one is near enough to be worth offering. */
export function didYouMean(word: string, known: readonly string[]): string {
  const best = known
    .map((k) => ({ k, d: editDistance(word.toLowerCase(), k.toLowerCase()) }))
    .sort((x, y) => x.d - y.d)[0];
  return best !== undefined && best.d <= Math.max(2, word.length / 3) ? ` Did you mean '${best.k}'?` : '';
}

/** Refuses what nobody reads, a misspelt key or a bare value (`x.sum(1)`): no option must be silently ignored. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new SecateurError(
      'ERR_OPTION',
      `${where}: got ${JSON.stringify(options)} in the place of its options; needs an object with: ${known.join(', ') || 'nothing'}.`,
      { options, known },
    );
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new SecateurError(
        'ERR_OPTION',
        `${where}: unknown option '${key}'.${didYouMean(key, known)} It takes: ${known.join(', ') || 'no options'}.`,
        { option: key, known },
      );
    }
  }
}
