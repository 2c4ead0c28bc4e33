// The command line that gives a result once more.
import { type CompileOptions, flagOf, givenOptions, type LossWeights } from "../options.js";
import { TOOL } from "../version.js";

/** Options that say where a report goes or how a run went on, not what comes out. */
const LEFT_OUT: ReadonlySet<string> = new Set(["report", "resume", "overwrite", "dryRun"]);

/**
 * For a POSIX shell. Seed and threads are spelt out: they decide on the last bits.
 * @param threads of the run
 */
export function commandOf(input: string, output: string, options: CompileOptions, threads: number): string {
	const asked = givenOptions({ ...options, seed: options.seed ?? 0, threads });
	const flags = Object.entries(asked).flatMap(([name, value]) => (LEFT_OUT.has(name) ? [] : flagWords(name, value)));
	return ["npx", TOOL.name, input, output, ...flags].map(shellWord).join(" ");
}

function flagWords(name: string, value: unknown): string[] {
	if (name === "distill") return value === false ? ["--no-distill"] : [];
	const flag = flagOf(name);
	if (typeof value === "boolean") return value ? [flag] : [];
	if (name === "loss") return [flag, lossText(value as LossWeights)];
	if (name === "phases") return [flag, (value as readonly string[]).join(",")];
	return Array.isArray(value) ? [flag, ...value.map(String)] : [flag, String(value)];
}

function lossText(weights: LossWeights): string {
	const given = Object.entries(weights).filter(([, weight]) => weight !== undefined);
	return given.map(([name, weight]) => `${name === "crossEntropy" ? "ce" : name}=${weight}`).join(",");
}

function shellWord(word: string): string {
	return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
