// The form of a zoo's manifest: what is true of each file, and what should happen to it.
import { readFileSync } from "node:fs";
import path from "node:path";

export type Expectation = "rewrite" | "refuse" | "nothing-to-do" | "error";

export interface RecipeInput {
	readonly name: string;
	readonly dtype: string;
	readonly shape: readonly number[];
	readonly kind: string;
	readonly below?: number;
	readonly from?: number;
	readonly start?: number;
	readonly scale?: number;
	readonly value?: number | boolean;
	readonly values?: readonly number[];
}

export interface TrueUse {
	readonly node: string;
	readonly op: string;
	readonly scope: string;
}

export interface TrueTable {
	readonly table: string;
	readonly vocab: number;
	readonly dim: number;
	readonly initializers: readonly {
		readonly name: string;
		readonly orientation: string;
		readonly scope: string;
		readonly unused?: boolean;
	}[];
	readonly lookups: readonly TrueUse[];
	readonly projections: readonly TrueUse[];
	readonly tied: boolean;
}

export interface ZooEntry {
	readonly path: string;
	readonly expect: Expectation;
	readonly acceptable?: readonly Expectation[];
	readonly why: string;
	readonly tags: readonly string[];
	readonly tables: readonly TrueTable[];
	readonly inputs: readonly RecipeInput[];
	readonly inputs_alternative?: readonly RecipeInput[];
	readonly dim?: number;
	readonly bundle?: string;
	readonly runs_in_ort_cpu?: boolean;
}

/** Entries of `<folder>/manifest.json`. */
export function readManifest(folder: string): readonly ZooEntry[] {
	// The manifest is written by a script of ours and of the zoo's makers; its form is checked by the tests that use it.
	return JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8")) as readonly ZooEntry[];
}
