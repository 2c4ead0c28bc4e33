#!/usr/bin/env node
// argv → options → call → print. The only place that prints, and that decides on exit codes.
import { closest, distance } from "fastest-levenshtein";
import yargs, { type Argv } from "yargs";
import { hideBin } from "yargs/helpers";
import { COMPARE_ARGUMENTS, compareArguments, compareOptions } from "./compare/arguments.js";
import { compare } from "./compare.js";
import { compile, inspect } from "./compile.js";
import { DistembError, EXIT_CODES } from "./errors.js";
import { type CompileOptions, DTYPES, METHODS, OPS } from "./options.js";
import { compareText } from "./report/compare-text.js";
import { writeJson } from "./report/file.js";
import { compileText, inspectText } from "./report/text.js";
import { progressDisplay } from "./terminal.js";
import { TOOL } from "./version.js";

const usage = (message: string, hint?: string) => new DistembError("usage", message, { hint });

/** `20MB`, `1.5 GiB`, `300000` → bytes. */
function parseSize(text: string): number {
	const match = /^(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?$/i.exec(text.trim());
	if (match === null) throw usage(`--target-size "${text}" is no size`, "write it like 20MB, 1.5GiB or 300000");
	const power = ["", "k", "m", "g", "t"].indexOf((match[2] ?? "").toLowerCase());
	return Math.floor(Number(match[1]) * (match[3] === "" ? 1000 : 1024) ** power);
}

function locateOptions<T>(command: Argv<T>) {
	return command
		.option("embedding", { type: "string", group: "Where:", describe: "table or lookup, by name, if the structure does not decide" })
		.option("head", { type: "string", group: "Where:", describe: "projection, by name" })
		.option("keep-other-readers", {
			type: "boolean",
			group: "Where:",
			describe: "rewrite though something else reads the table; it then stays",
		});
}

function outputOptions<T>(command: Argv<T>) {
	return command
		.option("json", {
			type: "string",
			requiresArg: true,
			group: "Output:",
			describe: "write the report as JSON to a file, or - for stdout",
		})
		.option("quiet", { type: "boolean", group: "Output:", describe: "no progress" })
		.option("threads", { type: "number", requiresArg: true, group: "Output:", describe: "threads of the engine" });
}

function compileArguments<T>(command: Argv<T>) {
	return outputOptions(
		locateOptions(
			command
				.positional("in", { type: "string", demandOption: true, describe: "an .onnx file, or a folder with a model's files" })
				.positional("out", { type: "string", demandOption: true, describe: "the result, of the same kind" })
				.option("rank", { type: "number", requiresArg: true, group: "Size:", describe: "columns of the left factor (default 64)" })
				.option("ratio", { type: "number", requiresArg: true, group: "Size:", describe: "vocabulary this many times smaller" })
				.option("target-size", {
					type: "string",
					requiresArg: true,
					coerce: parseSize,
					group: "Size:",
					describe: "size of the result, e.g. 20MB",
				})
				.option("input-rank", { type: "number", requiresArg: true, group: "Size:", describe: "rank of the lookups alone" })
				.option("output-rank", { type: "number", requiresArg: true, group: "Size:", describe: "rank of the projections alone" })
				.option("dtype", {
					choices: DTYPES,
					requiresArg: true,
					group: "Size:",
					describe: "precision of the factors (default: the table's)",
				})
				.option("ops", { choices: OPS, requiresArg: true, group: "Size:", describe: "operators allowed in the result (default standard)" })
				.option("method", {
					choices: METHODS,
					requiresArg: true,
					group: "Method:",
					describe: "svd, or the paper's ReLU factors (default svd)",
				})
				.option("seed", { type: "number", requiresArg: true, group: "Method:", describe: "of everything random (default 0)" })
				.option("no-distill", { type: "boolean", group: "Method:", describe: "reconstruction only (all there is in this version)" })
				.option("dry-run", { type: "boolean", group: "Output:", describe: "find and count, write nothing" })
				.option("overwrite", { type: "boolean", group: "Output:", describe: "replace an existing output" })
				.option("allow-larger", { type: "boolean", group: "Output:", describe: "factorize even where that takes more bytes" })
				.conflicts("rank", ["ratio", "target-size"])
				.conflicts("ratio", "target-size"),
		),
	)
		.example("$0 model.onnx small.onnx --rank 64", "one file")
		.example("$0 marian/ marian-small/ --ratio 8 --dtype float16", "encoder and decoder together")
		.example("$0 model.onnx small.onnx --rank 64 --json -", "the report as JSON");
}

function inspectArguments<T>(command: Argv<T>) {
	return outputOptions(
		locateOptions(command.positional("in", { type: "string", demandOption: true, describe: "an .onnx file or a folder" })),
	).example("$0 inspect model.onnx", "tables, readers, ties, bytes");
}

interface Output {
	readonly json?: string | undefined;
	readonly quiet?: boolean | undefined;
}

/** Runs `work` with progress and Ctrl-C, then prints its report as asked. */
async function present<R>(
	output: Output,
	work: (options: Pick<CompileOptions, "signal" | "onProgress">) => Promise<R>,
	toText: (report: R) => string,
) {
	const abort = new AbortController();
	const stop = () => abort.abort();
	process.once("SIGINT", stop);
	process.once("SIGTERM", stop);
	const display = progressDisplay(process.stderr, output.quiet === true);
	let report: R;
	try {
		report = await work({ signal: abort.signal, onProgress: display.show });
	} finally {
		display.stop();
		process.off("SIGINT", stop);
		process.off("SIGTERM", stop);
	}
	const json = `${JSON.stringify(report, null, 2)}\n`;
	if (output.json === "-") process.stdout.write(json);
	else {
		if (output.json !== undefined) writeJson(output.json, json);
		process.stdout.write(`${toText(report)}\n`);
	}
}

/** A better message than yargs' for an option that does not exist. */
function failure(message: string | null, error: Error | undefined, known: readonly string[]): never {
	if (error instanceof DistembError) throw error;
	const unknown = /^Unknown arguments?: (.+)$/.exec(message ?? "")?.[1]?.split(", ")[0];
	if (unknown !== undefined) {
		const nearest = closest(unknown, known);
		const near = distance(unknown, nearest) <= Math.max(2, unknown.length / 3);
		throw usage(`unknown option or argument "${unknown}"`, near ? `did you mean --${nearest}?` : "see --help");
	}
	throw usage((message ?? error?.message ?? "wrong usage").replace(/\s*\n\s*/g, " "), "see --help");
}

async function main(argv: readonly string[]): Promise<void> {
	const parser = yargs([...argv])
		.scriptName(TOOL.name)
		.version(TOOL.version)
		.usage("Makes the vocabulary of an ONNX translation or language model many times smaller.")
		.parserConfiguration({ "boolean-negation": false, "duplicate-arguments-array": false })
		.command(
			"$0 <in> <out>",
			"compile a model",
			(command) => compileArguments(command),
			async ({ in: input, out, ...options }) => {
				await present(options, (hooks) => compile(input, out, { ...pick(options), ...hooks }), compileText);
			},
		)
		.command(
			"inspect <in>",
			"show what would be rewritten, and what not and why",
			(command) => inspectArguments(command),
			async ({ in: input, embedding, head, keepOtherReaders, threads, ...output }) => {
				await present(output, (hooks) => inspect(input, { embedding, head, keepOtherReaders, threads, ...hooks }), inspectText);
			},
		)
		.command(
			"compare <teacher> <student>",
			"measure how well a smaller model still does",
			(command) => outputOptions(compareArguments(command)),
			async ({ teacher, student, ...options }) => {
				await present(options, (hooks) => compare(teacher, student, { ...compareOptions(options), ...hooks }), compareText);
			},
		)
		.strict()
		.demandCommand(0)
		.exitProcess(false)
		.wrap(Math.min(110, process.stdout.columns ?? 110))
		.fail((message, error) => failure(message, error, OPTION_NAMES));
	await parser.parseAsync();
}

const OPTION_NAMES = [
	...["rank", "ratio", "target-size", "input-rank", "output-rank", "dtype", "ops", "method", "seed", "no-distill", "dry-run"],
	...["overwrite", "allow-larger", "embedding", "head", "keep-other-readers", "json", "quiet", "threads", "help", "version"],
	...Object.keys(COMPARE_ARGUMENTS),
];

const COMPILE_KEYS = [
	...["rank", "ratio", "targetSize", "inputRank", "outputRank", "dtype", "ops", "method", "seed", "overwrite", "allowLarger", "dryRun"],
	...["embedding", "head", "keepOtherReaders", "threads"],
] as const;

type Parsed = Omit<CompileOptions, "signal" | "onProgress"> & Output;

/** The options that `compile` understands, without what yargs adds. */
function pick(parsed: Parsed): CompileOptions {
	const known = new Set<string>(COMPILE_KEYS);
	return Object.fromEntries(Object.entries(parsed).filter(([name]) => known.has(name)));
}

try {
	await main(hideBin(process.argv));
} catch (error) {
	const known =
		error instanceof DistembError
			? error
			: new DistembError("internal", error instanceof Error ? error.message : String(error), { cause: error });
	process.stderr.write(`${TOOL.name}: ${known.toLine()}\n`);
	if (process.env.DISTEMB_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
	process.exitCode = EXIT_CODES[known.code];
}
