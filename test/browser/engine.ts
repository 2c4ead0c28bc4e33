// onnxruntime-web in a page of Chromium, called from the tests.
import type { Page } from "playwright-core";
import type { Feeds } from "../../src/runtime/session.js";

/** What crosses to the page: everything as plain numbers. */
interface Described {
	readonly dtype: string;
	readonly dims: readonly number[];
	readonly values: readonly number[];
}

export interface WebTensor {
	readonly dims: readonly number[];
	readonly values: readonly number[];
}

/** A model on the server: its address, and those of its data files by the names that the model calls them. */
export interface WebModel {
	readonly url: string;
	readonly data?: readonly { readonly path: string; readonly url: string }[];
}

interface PageEngine {
	open(key: string, url: string, data: WebModel["data"]): Promise<number>;
	run(key: string, feeds: Record<string, Described>, names: readonly string[]): Promise<Record<string, WebTensor>>;
	time(key: string, feeds: Record<string, Described>, rounds: number): Promise<number[]>;
	bytes(): number;
	close(key: string): Promise<void>;
}

export interface WebEngine {
	/** Opens a model under a name of its own; gives the milliseconds that the engine took. */
	open(key: string, model: WebModel): Promise<number>;
	run(key: string, feeds: Feeds, names: readonly string[]): Promise<Record<string, WebTensor>>;
	/** Milliseconds of each of `rounds` runs. */
	time(key: string, feeds: Feeds, rounds: number): Promise<number[]>;
	/** Bytes of the page's WebAssembly memory, which never shrinks. */
	memory(): Promise<number>;
	close(key: string): Promise<void>;
}

/** @param page one at `/page/index.html` of a server with `page` and `ort` mounted */
export async function webEngine(page: Page): Promise<WebEngine> {
	await page.waitForFunction(() => "engine" in globalThis);
	const call = <T>(method: keyof PageEngine, ...args: readonly unknown[]): Promise<T> =>
		page.evaluate(
			([name, values]) => {
				const engine = (globalThis as unknown as { engine: Record<string, (...given: readonly unknown[]) => unknown> }).engine;
				return engine[name as string]?.(...(values as unknown[])) as T;
			},
			[method, args] as const,
		) as Promise<T>;
	return {
		open: (key, { url, data }) => call("open", key, url, data),
		run: (key, feeds, names) => call("run", key, describe(feeds), names),
		time: (key, feeds, rounds) => call("time", key, describe(feeds), rounds),
		memory: () => call("bytes"),
		close: (key) => call("close", key),
	};
}

function describe(feeds: Feeds): Record<string, Described> {
	return Object.fromEntries(
		Object.entries(feeds).map(([name, { dtype, dims, data }]) => [
			name,
			{ dtype, dims, values: Array.from(data as Iterable<number>, Number) },
		]),
	);
}
