// What is mutated: every model of the fixtures and, where there is one, of a zoo, with the files that belong to it; tokenizers, data.
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import type { Dice } from "./dice.js";

const FIXTURES = path.resolve(import.meta.dirname, "../../../fixtures");
const ZOO = path.resolve(import.meta.dirname, "../../../../shared/zoo");

/** Larger models are mutated by the kinds that need them only. */
const LARGEST = 512 * 1024;

const SMALL = 32 * 1024;
const SMALL_SHARE = 0.9;

export interface Seed {
	readonly name: string;
	/** The model's file name within `files`. */
	readonly model: string;
	readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Models by path, read when they are first asked for. */
export class Corpus {
	readonly #models: readonly Listed[];
	readonly #held = new Map<string, Seed>();

	constructor(roots: readonly string[] = [FIXTURES, ZOO]) {
		this.#models = roots.flatMap((root) => modelsBelow(root)).sort((a, b) => (a.folder + a.file < b.folder + b.file ? -1 : 1));
	}

	/** A model; small ones more often, which take a tenth of the time. */
	pick(dice: Dice): Seed {
		const wanted = dice.chance(SMALL_SHARE) ? this.#models.filter(({ size }) => size <= SMALL) : this.#models;
		const { folder, file, own } = dice.pick(wanted);
		const name = path.join(folder, file);
		const held = this.#held.get(name) ?? { name: path.basename(file, ".onnx"), model: file, files: filesOf(folder, file, own) };
		this.#held.set(name, held);
		return held;
	}
}

interface Listed {
	readonly folder: string;
	readonly file: string;
	/** In a folder of its own, whose other files belong to it. */
	readonly own: boolean;
	readonly size: number;
}

function modelsBelow(root: string): Listed[] {
	const exists = statSync(root, { throwIfNoEntry: false })?.isDirectory() === true;
	if (!exists) return [];
	const names = (readdirSync(root, { recursive: true }) as string[]).filter((name) => name.endsWith(".onnx"));
	return names
		.filter((name) => statSync(path.join(root, name)).size <= LARGEST)
		.map((name) => {
			const folder = path.dirname(path.join(root, name));
			const isShared = ["patterns", "broken", path.basename(root)].includes(path.basename(folder));
			return { folder, file: path.basename(name), own: !isShared, size: statSync(path.join(root, name)).size };
		});
}

/** The model; in a folder of its own, everything beside it that is not large. */
function filesOf(folder: string, file: string, own: boolean): Map<string, Uint8Array> {
	const names = own ? readdirSync(folder) : [file];
	const files = new Map<string, Uint8Array>();
	for (const name of names) {
		const stat = statSync(path.join(folder, name), { throwIfNoEntry: false });
		if (stat?.isFile() === true && stat.size <= LARGEST) files.set(name, Uint8Array.from(readFileSync(path.join(folder, name))));
	}
	return files;
}

/** A fixture that is no model of the corpus, e.g. `sotu-lm/tokenizer.json`. */
export function fixture(name: string): Uint8Array {
	return Uint8Array.from(readFileSync(path.join(FIXTURES, name)));
}
