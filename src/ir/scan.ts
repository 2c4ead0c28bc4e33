// Words, numbers and lists of one line of printed IR; see `print.ts` for the notation.
import { DistembError } from "../errors.js";

/** A name that needs no quotes: no blank or bracket, and a colon only inside. */
const BARE = /[^\s,()<>[\]{}="@?#:…]+(?::+[^\s,()<>[\]{}="@?#:…]+)*/y;
const NUMBER = /[-+]?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\w)/y;
const RESERVED: ReadonlySet<string> = new Set(["_", "return", "graph", "function", "model", "sparse"]);

/** `name` as it stands in the notation: bare where that is unambiguous, else as a JSON string. */
export function quoted(name: string): string {
	BARE.lastIndex = 0;
	const match = BARE.exec(name);
	return match?.[0] === name && !RESERVED.has(name) ? name : JSON.stringify(name);
}

/** Reads one line from left to right; blanks between words do not matter. */
export class Scanner {
	private position = 0;

	constructor(
		private readonly text: string,
		private readonly line: number,
	) {}

	/** Throws `input` with the line's number. */
	fail(message: string): never {
		throw new DistembError("input", message, { at: `line ${this.line}` });
	}

	get done(): boolean {
		this.skip();
		return this.position >= this.text.length;
	}

	/** True if `mark` comes next; it is consumed. */
	accept(mark: string): boolean {
		this.skip();
		if (!this.text.startsWith(mark, this.position)) return false;
		this.position += mark.length;
		return true;
	}

	/** True if the word `word` comes next (not only the start of a longer name); it is consumed. */
	acceptWord(word: string): boolean {
		const start = this.position;
		if (this.match(BARE) === word) return true;
		this.position = start;
		return false;
	}

	/** The next word, if `test` holds for it. */
	wordThat<T extends string>(test: (word: string) => word is T): T | undefined {
		const start = this.position;
		const word = this.match(BARE);
		if (word !== undefined && test(word)) return word;
		this.position = start;
		return undefined;
	}

	expect(mark: string): void {
		if (!this.accept(mark)) this.fail(`expected "${mark}" before ${this.rest()}`);
	}

	finish(): void {
		if (!this.done) this.fail(`unexpected ${this.rest()}`);
	}

	/** A name, bare or quoted. */
	name(what = "a name"): string {
		return this.string() ?? this.match(BARE) ?? this.fail(`expected ${what} before ${this.rest()}`);
	}

	/** A name, or `_` for none. */
	optionalName(): string | undefined {
		return this.acceptWord("_") ? undefined : this.name();
	}

	/** A JSON string, if one comes next. */
	string(): string | undefined {
		const held = this.match(/"(?:[^"\\]|\\.)*"/y);
		if (held === undefined) return undefined;
		const value: unknown = JSON.parse(held);
		return typeof value === "string" ? value : undefined;
	}

	/** A number as it is written, if one comes next. */
	number(): string | undefined {
		return this.match(NUMBER);
	}

	/** Items between `open` and `close`, separated by commas; undefined if `open` does not come next. */
	list<T>(open: string, close: string, item: () => T): T[] | undefined {
		if (!this.accept(open)) return undefined;
		const items: T[] = [];
		if (this.accept(close)) return items;
		do items.push(item());
		while (this.accept(","));
		this.expect(close);
		return items;
	}

	private match(pattern: RegExp): string | undefined {
		this.skip();
		pattern.lastIndex = this.position;
		const found = pattern.exec(this.text)?.[0];
		if (found !== undefined) this.position += found.length;
		return found;
	}

	private skip(): void {
		while (this.text[this.position] === " " || this.text[this.position] === "\t") this.position++;
	}

	private rest(): string {
		this.skip();
		return this.position >= this.text.length ? "the end of the line" : `"${this.text.slice(this.position, this.position + 24)}"`;
	}
}
