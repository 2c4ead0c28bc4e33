// Cases as folders: what a failure leaves, what can be run again, and the committed corpus of what was found.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Action, FuzzCase } from "./case.js";

const FACTS = "case.json";

interface Facts {
	readonly action: Action;
	readonly targets: readonly string[];
	readonly args?: readonly string[];
	readonly links?: Readonly<Record<string, string>>;
	/** What the tool did, where it did wrong. */
	readonly found?: string;
}

/** Writes `test` to `folder`, with `found` as a note. */
export function saveCase(folder: string, test: FuzzCase, found: string): void {
	for (const [name, bytes] of test.files) {
		const file = path.join(folder, "files", name);
		mkdirSync(path.dirname(file), { recursive: true });
		writeFileSync(file, bytes);
	}
	const { action, targets, args, links } = test;
	const facts: Facts = {
		action,
		targets,
		...(args === undefined ? {} : { args }),
		...(links === undefined ? {} : { links: Object.fromEntries(links) }),
		found,
	};
	mkdirSync(folder, { recursive: true });
	writeFileSync(path.join(folder, FACTS), `${JSON.stringify(facts, undefined, "\t")}\n`);
}

/** The case in `folder`, as {@link saveCase} wrote it. */
export function readCase(folder: string): FuzzCase {
	const { action, targets, args, links } = JSON.parse(readFileSync(path.join(folder, FACTS), "utf8")) as Facts;
	const held = path.join(folder, "files");
	const names = (readdirSync(held, { recursive: true }) as string[]).filter((name) => statSync(path.join(held, name)).isFile());
	const files = new Map(names.map((name) => [name, Uint8Array.from(readFileSync(path.join(held, name)))]));
	return {
		action,
		targets,
		files,
		...(args === undefined ? {} : { args }),
		...(links === undefined ? {} : { links: new Map(Object.entries(links)) }),
	};
}
