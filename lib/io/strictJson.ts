/** A parsed JSON value. Objects are Maps, so no key (`__proto__` among them) can touch a prototype. */
export type JsonValue = string | number | boolean | null | JsonValue[] | Map<string, JsonValue>;

/** What is wrong with a JSON text, and at which character. */
export class JsonFault extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(`${message} at character ${at}`);
    this.at = at;
  }
}

/** Deeper nesting than this has no use in a file header; the bound keeps hostile text off the stack. */
const MAX_DEPTH = 32;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/**
 * Parses JSON (RFC 8259) as `JSON.parse` does, except that a key met twice in one object is refused (`JSON.parse` keeps
 * the last one silently, so two readers could see two different files) and that objects come as Maps in file order.
 *
 * @throws JsonFault naming the trouble and where it is.
 */
export function parseStrictJson(text: string): JsonValue {
  let at = 0;

  const skipSpace = (): void => {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
  };
  const expect = (char: string): void => {
    if (text[at] !== char) throw new JsonFault(`expected '${char}'`, at);
    at++;
  };
  /** After a member: true when a comma promises another one, false when `close` ended the list. */
  const another = (close: string): boolean => {
    skipSpace();
    if (text[at] === close) {
      at++;
      return false;
    }
    expect(',');
    return true;
  };

  const string = (): string => {
    const start = at;
    expect('"');
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    expect('"');
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      throw new JsonFault('bad string', start);
    }
  };
  const number = (): number => {
    NUMBER.lastIndex = at;
    const literal = NUMBER.exec(text)?.[0];
    if (literal === undefined) throw new JsonFault('unexpected character', at);
    at += literal.length;
    return Number(literal);
  };
  const object = (depth: number): Map<string, JsonValue> => {
    const members = new Map<string, JsonValue>();
    expect('{');
    skipSpace();
    if (text[at] === '}') {
      at++;
      return members;
    }
    do {
      skipSpace();
      const start = at;
      const key = string();
      if (members.has(key)) throw new JsonFault(`key ${JSON.stringify(key)} is there twice`, start);
      skipSpace();
      expect(':');
      members.set(key, value(depth + 1));
    } while (another('}'));
    return members;
  };
  const array = (depth: number): JsonValue[] => {
    const items: JsonValue[] = [];
    expect('[');
    skipSpace();
    if (text[at] === ']') {
      at++;
      return items;
    }
    do items.push(value(depth + 1));
    while (another(']'));
    return items;
  };
  const value = (depth: number): JsonValue => {
    if (depth > MAX_DEPTH) throw new JsonFault(`nested deeper than ${MAX_DEPTH}`, at);
    skipSpace();
    const first = text[at];
    if (first === '{') return object(depth);
    if (first === '[') return array(depth);
    if (first === '"') return string();
    for (const [word, meaning] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    return number();
  };

  const result = value(0);
  skipSpace();
  if (at < text.length) throw new JsonFault('text after the end', at);
  return result;
}
