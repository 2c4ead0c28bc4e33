// The command line of `compile` and `inspect`: their options, and what the library's calls get of them.
import type { Argv } from "yargs";
import { COMPARE_ARGUMENTS } from "./compare/arguments.js";
import { DistembError } from "./errors.js";
import { type CompileOptions, DTYPES, LOSSES, type LossWeights, METHODS, OPS, PHASES, TRAINED, type TrainingPhase } from "./options.js";

/** yargs keeps nothing but the message of an error that is thrown while it reads values. */
const usage = (message: string, hint: string) => new DistembError("usage", `${message}; ${hint}`);

const TEXT = { type: "string", requiresArg: true } as const;
const NUMBER = { type: "number", requiresArg: true } as const;
const FLAG = { type: "boolean" } as const;
const WHERE = { group: "Where:" } as const;
const OUTPUT = { group: "Output:" } as const;
const SIZE = { group: "Size:" } as const;
const METHOD = { group: "Method:" } as const;
const DATA = { group: "Data:" } as const;
const TRAINING = { group: "Training:" } as const;
const GATES = { group: "Gates (exit code 3 and no output when missed):" } as const;

/** `20MB`, `1.5 GiB`, `300000` → bytes. */
function parseSize(text: string): number {
	const match = /^(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?$/i.exec(text.trim());
	if (match === null) throw usage(`--target-size "${text}" is no size`, "write it like 20MB, 1.5GiB or 300000");
	const power = ["", "k", "m", "g", "t"].indexOf((match[2] ?? "").toLowerCase());
	return Math.floor(Number(match[1]) * (match[3] === "" ? 1000 : 1024) ** power);
}

function parseBlocks(text: string): number | "auto" {
	return text === "auto" ? text : Number(text);
}

/** `1%` or `0.01` → 0.01. */
function parseShare(text: string): number {
	const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim());
	if (match === null) throw usage(`--max-perplexity-increase "${text}" is no share`, "write it like 1% or 0.01");
	return match[2] === "%" ? Number(match[1]) / 100 : Number(match[1]);
}

/** `kl=1,ce=0.5` → weights. */
function parseLoss(text: string): LossWeights {
	const weights: { -readonly [K in keyof LossWeights]: number } = {};
	for (const part of text.split(",")) {
		const [, short = "", value] = /^\s*([a-z-]+)\s*=\s*(\S+)\s*$/i.exec(part) ?? [];
		const name = LOSSES.find((known) => known === (short === "ce" ? "crossEntropy" : short));
		const weight = Number(value);
		if (name === undefined || !Number.isFinite(weight))
			throw usage(`--loss "${part.trim()}" is no weight`, "write it like kl=1,ce=0.5,states=0,embedding=0.2,temperature=2");
		weights[name] = weight;
	}
	return weights;
}

/** `head,all` → phases. */
function parsePhases(text: string): TrainingPhase[] {
	return text.split(",").map((part) => {
		const phase = PHASES.find((known) => known === part.trim());
		if (phase === undefined) throw usage(`--phases "${part.trim()}" is no phase`, `write some of ${PHASES.join(",")}`);
		return phase;
	});
}

const LOCATE_ARGUMENTS = {
	embedding: { ...TEXT, ...WHERE, describe: "table or lookup, by name, if the structure does not decide" },
	head: { ...TEXT, ...WHERE, describe: "projection, by name" },
	"keep-other-readers": { ...FLAG, ...WHERE, describe: "rewrite though something else reads the table; it then stays" },
} as const;

const OUTPUT_ARGUMENTS = {
	json: { ...TEXT, ...OUTPUT, describe: "write the report as JSON to a file, or - for stdout" },
	quiet: { ...FLAG, ...OUTPUT, describe: "no progress" },
	threads: { ...NUMBER, ...OUTPUT, describe: "threads of the engine" },
} as const;

const COMPILE_ARGUMENTS = {
	rank: { ...NUMBER, ...SIZE, describe: "columns of the left factor (default 64)" },
	ratio: { ...NUMBER, ...SIZE, describe: "vocabulary this many times smaller" },
	"target-size": { ...TEXT, ...SIZE, coerce: parseSize, describe: "size of the result, e.g. 20MB" },
	"input-rank": { ...NUMBER, ...SIZE, describe: "rank of the lookups alone" },
	"output-rank": { ...NUMBER, ...SIZE, describe: "rank of the projections alone" },
	dtype: { choices: DTYPES, requiresArg: true, ...SIZE, describe: "precision of the factors (default: the table's); mixed: what pays" },
	blocks: { ...TEXT, ...SIZE, coerce: parseBlocks, describe: "most blocks of rows with bits of their own (mixed): auto, 1, N" },
	ops: { choices: OPS, requiresArg: true, ...SIZE, describe: "operators allowed in the result (default standard)" },
	method: {
		choices: METHODS,
		requiresArg: true,
		...METHOD,
		describe: "distemb: distilled (default); paper: ReLU factors; svd: not trained",
	},
	seed: { ...NUMBER, ...METHOD, describe: "of everything random (default 0)" },
	data: { type: "string", array: true, requiresArg: true, ...DATA, describe: "texts, token ids, or pairs (default: the model writes)" },
	tokenizer: { ...TEXT, ...DATA, describe: "tokenizer.json (default: beside the model)" },
	minutes: { ...NUMBER, ...TRAINING, describe: "time for training (default 10, less for small models)" },
	steps: { ...NUMBER, ...TRAINING, describe: "steps instead: the same seed gives the same bytes" },
	"no-distill": { ...FLAG, ...TRAINING, describe: "reconstruction only" },
	batch: { ...NUMBER, ...TRAINING, describe: "windows or pairs per step" },
	length: { ...NUMBER, ...TRAINING, describe: "tokens per window" },
	lr: { ...NUMBER, ...TRAINING, describe: "highest learning rate" },
	train: { choices: TRAINED, requiresArg: true, ...TRAINING, describe: "which weights (default all)" },
	phases: { ...TEXT, ...TRAINING, coerce: parsePhases, describe: "parts of training, in turn: head,factors,all (default all)" },
	loss: { ...TEXT, ...TRAINING, coerce: parseLoss, describe: "weights, e.g. kl=1,ce=0.5,states=1,embedding=0.2,temperature=2" },
	resume: { ...TEXT, ...TRAINING, describe: "go on from an interrupted run's folder" },
	"max-perplexity-increase": { ...TEXT, ...GATES, coerce: parseShare, describe: "e.g. 1% or 0.01; on a held-out part of --data" },
	"max-kl": { ...NUMBER, ...GATES, describe: "KL(original ‖ result), nats per token; likewise" },
	report: { ...TEXT, ...OUTPUT, describe: "write a page about the run: report.html" },
	"dry-run": { ...FLAG, ...OUTPUT, describe: "find and count, write nothing" },
	overwrite: { ...FLAG, ...OUTPUT, describe: "replace an existing output" },
	"allow-larger": { ...FLAG, ...OUTPUT, describe: "factorize even where that takes more bytes" },
} as const;

export function outputOptions<T>(command: Argv<T>) {
	return command.options(OUTPUT_ARGUMENTS);
}

export function compileArguments<T>(command: Argv<T>) {
	return command
		.positional("in", { type: "string", demandOption: true, describe: "an .onnx file, or a folder with a model's files" })
		.positional("out", { type: "string", demandOption: true, describe: "the result, of the same kind" })
		.options(COMPILE_ARGUMENTS)
		.options(LOCATE_ARGUMENTS)
		.options(OUTPUT_ARGUMENTS)
		.conflicts("rank", ["ratio", "target-size"])
		.conflicts("ratio", "target-size")
		.example("$0 model.onnx small.onnx --rank 64", "distilled for some minutes on what the model writes")
		.example("$0 model.onnx small.onnx --rank 64 --data train.txt --max-perplexity-increase 5%", "on your text, with a gate")
		.example("$0 marian/ marian-small/ --ratio 8 --dtype float16 --data train.tsv", "encoder and decoder together")
		.example("$0 model.onnx small.onnx --rank 64 --no-distill --json -", "in seconds; the report as JSON");
}

export function inspectArguments<T>(command: Argv<T>) {
	return command
		.positional("in", { type: "string", demandOption: true, describe: "an .onnx file or a folder" })
		.options(LOCATE_ARGUMENTS)
		.options(OUTPUT_ARGUMENTS)
		.example("$0 inspect model.onnx", "tables, readers, ties, bytes");
}

const PLAN_ARGUMENTS = {
	ratio: {
		type: "number",
		array: true,
		requiresArg: true,
		...SIZE,
		describe: "vocabulary this many times smaller, one or more (default 4 8 16 32)",
	},
	rank: { ...NUMBER, ...SIZE, describe: "the bytes of factors of this rank" },
	"target-size": { ...TEXT, ...SIZE, coerce: parseSize, describe: "size of the result, e.g. 20MB" },
	blocks: COMPILE_ARGUMENTS.blocks,
	seed: COMPILE_ARGUMENTS.seed,
	data: { ...COMPILE_ARGUMENTS.data, describe: "texts, token ids, or pairs (default: none, and no loss is predicted)" },
	tokenizer: COMPILE_ARGUMENTS.tokenizer,
} as const;

export function planArguments<T>(command: Argv<T>) {
	return command
		.positional("in", { type: "string", demandOption: true, describe: "an .onnx file or a folder" })
		.options(PLAN_ARGUMENTS)
		.options(LOCATE_ARGUMENTS)
		.options(OUTPUT_ARGUMENTS)
		.conflicts("rank", ["ratio", "target-size"])
		.conflicts("ratio", "target-size")
		.example("$0 plan model.onnx --data train.txt", "four sizes, and what each loses")
		.example("$0 plan model.onnx --target-size 20MB --data train.txt", "one");
}

/** Of all commands, for suggestions. */
export const OPTION_NAMES: readonly string[] = [
	...Object.keys({ ...COMPILE_ARGUMENTS, ...LOCATE_ARGUMENTS, ...OUTPUT_ARGUMENTS, ...COMPARE_ARGUMENTS }),
	...["help", "version"],
];

type Parsed = Omit<CompileOptions, "signal" | "onProgress" | "distill"> & { readonly noDistill?: boolean | undefined };

/** The options that the library's call understands, without what yargs adds. */
export function compileOptions({ noDistill, ...parsed }: Parsed): CompileOptions {
	const names = Object.keys({ ...COMPILE_ARGUMENTS, ...LOCATE_ARGUMENTS, threads: undefined });
	const known = new Set(names.map((name) => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())));
	const given = Object.fromEntries(Object.entries(parsed).filter(([name, value]) => known.has(name) && value !== undefined));
	return noDistill === true ? { ...given, distill: false } : given;
}
