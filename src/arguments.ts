// The command line of `compile` and `inspect`: their options, and what the library's calls get of them.
import type { Argv } from "yargs";
import { parseShare, parseSize } from "./amounts.js";
import { BUILD_ARGUMENTS } from "./build/arguments.js";
import { COMPARE_ARGUMENTS } from "./compare/arguments.js";
import { DistembError } from "./errors.js";
import { type CompileOptions, DTYPES, LOSSES, type LossWeights, METHODS, OPS, PHASES, TRAINED, type TrainingPhase } from "./options.js";

/** yargs keeps nothing but the message of an error that is thrown while it reads values. */
const usage = (message: string, hint: string) => new DistembError("usage", `${message}; ${hint}`);

const TEXT = { type: "string", requiresArg: true } as const;
const NUMBER = { type: "number", requiresArg: true } as const;
const FLAG = { type: "boolean" } as const;
const WHERE = { group: "Where to look:" } as const;
const OUTPUT = { group: "Output:" } as const;
const SIZE = { group: "Size:" } as const;
const DATA = { group: "Data:" } as const;
const TRAINING = { group: "Data and training:" } as const;
/** Shown by `--help --all` only, so that the rest fits a screen. */
const RARE = { hidden: true } as const;

const sizeOf = (text: string) => parseSize(text, "--target-size");
const shareOf = (text: string) => parseShare(text, "--max-perplexity-increase");

function parseBlocks(text: string): number | "auto" {
	return text === "auto" ? text : Number(text);
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
	embedding: { ...TEXT, ...WHERE, ...RARE, describe: "name of the table or lookup, if the structure does not decide" },
	head: { ...TEXT, ...WHERE, ...RARE, describe: "name of the projection" },
	"keep-other-readers": { ...FLAG, ...WHERE, ...RARE, describe: "rewrite though something else reads the table, which then stays" },
} as const;

const OUTPUT_ARGUMENTS = {
	json: { ...TEXT, ...OUTPUT, describe: "write the report as JSON to this file, or - for stdout" },
	quiet: { ...FLAG, ...OUTPUT, describe: "no progress on stderr" },
	threads: { ...NUMBER, ...OUTPUT, ...RARE, describe: "threads of the engine (default: one for each core)" },
} as const;

const COMPILE_ARGUMENTS = {
	rank: { ...NUMBER, ...SIZE, describe: "columns of the left factor (default 64)" },
	ratio: { ...NUMBER, ...SIZE, describe: "or: make the vocabulary this many times smaller" },
	"target-size": { ...TEXT, ...SIZE, coerce: sizeOf, describe: "or: bytes of the whole result, like 20MB" },
	dtype: { choices: DTYPES, requiresArg: true, ...SIZE, describe: `${DTYPES.join(", ")}; default: the table's; mixed: as pays` },
	"input-rank": { ...NUMBER, ...SIZE, ...RARE, describe: "rank of the lookups alone" },
	"output-rank": { ...NUMBER, ...SIZE, ...RARE, describe: "rank of the projections alone" },
	blocks: { ...TEXT, ...SIZE, ...RARE, coerce: parseBlocks, describe: "most blocks of rows with bits of their own (mixed): auto, 1, N" },
	"frequency-power": {
		...NUMBER,
		...SIZE,
		...RARE,
		describe: "what rows weigh by (mixed): 0 to 1 (default 0.67); lower: more for rare tokens",
	},
	ops: { choices: OPS, requiresArg: true, ...SIZE, ...RARE, describe: `operators of the result: ${OPS.join(" (default), ")}` },
	"allow-larger": { ...FLAG, ...SIZE, ...RARE, describe: "factorize even where that takes more bytes" },
	method: {
		choices: METHODS,
		requiresArg: true,
		...TRAINING,
		describe: "distemb (default): distilled; paper: ReLU factors; svd: not trained",
	},
	data: {
		type: "string",
		array: true,
		requiresArg: true,
		...TRAINING,
		describe: "your text, token ids or pairs (default: the model writes)",
	},
	tokenizer: { ...TEXT, ...TRAINING, ...RARE, describe: "tokenizer.json (default: beside the model)" },
	minutes: { ...NUMBER, ...TRAINING, describe: "time to train (default 10, less for small models)" },
	steps: { ...NUMBER, ...TRAINING, describe: "steps instead of minutes: the same seed gives the same bytes" },
	"no-distill": { ...FLAG, ...TRAINING, describe: "do not train, which takes seconds" },
	resume: { ...TEXT, ...TRAINING, describe: "go on from the folder that an interrupted run left" },
	seed: { ...NUMBER, ...TRAINING, ...RARE, describe: "of everything random (default 0)" },
	batch: { ...NUMBER, ...TRAINING, ...RARE, describe: "windows or pairs per step" },
	length: { ...NUMBER, ...TRAINING, ...RARE, describe: "tokens per window" },
	lr: { ...NUMBER, ...TRAINING, ...RARE, describe: "highest learning rate" },
	train: { choices: TRAINED, requiresArg: true, ...TRAINING, ...RARE, describe: `which weights: ${TRAINED.join(", ")} (default)` },
	phases: { ...TEXT, ...TRAINING, ...RARE, coerce: parsePhases, describe: "parts of training, in turn: head,factors,all (default all)" },
	loss: { ...TEXT, ...TRAINING, ...RARE, coerce: parseLoss, describe: "weights: kl=1,ce=0.5,states=1,embedding=0.2,temperature=2" },
	"max-perplexity-increase": {
		...TEXT,
		...OUTPUT,
		coerce: shareOf,
		describe: "gate, such as 1%; missed: exit code 3, nothing is written",
	},
	"max-kl": { ...NUMBER, ...OUTPUT, describe: "likewise: KL(original ‖ result) in nats per token, such as 0.01" },
	report: { ...TEXT, ...OUTPUT, describe: "write a page about the run to this file: report.html" },
	"dry-run": { ...FLAG, ...OUTPUT, describe: "find and count, write nothing" },
	overwrite: { ...FLAG, ...OUTPUT, describe: "replace an existing output" },
} as const;

/** Options of every command whose help has room for all of them. */
export function outputOptions<T>(command: Argv<T>) {
	return command.options(shown(OUTPUT_ARGUMENTS)).hide("all").group(["help", "version"], OUTPUT.group);
}

const INPUT = { type: "string", demandOption: true, describe: "an .onnx file, or a folder with all files of a model" } as const;

export function compileArguments<T>(command: Argv<T>) {
	return command
		.positional("in", INPUT)
		.positional("out", INPUT)
		.hide("in")
		.hide("out")
		.options(COMPILE_ARGUMENTS)
		.options(OUTPUT_ARGUMENTS)
		.group(["help", "all", "version"], OUTPUT.group)
		.options(LOCATE_ARGUMENTS)
		.conflicts("rank", ["ratio", "target-size"])
		.conflicts("ratio", "target-size")
		.example("$0 model.onnx small.onnx --ratio 8 --dtype mixed --data train.txt", "")
		.example("$0 model.onnx small.onnx --rank 64 --data train.txt --max-perplexity-increase 5%", "")
		.example("$0 marian/ marian-small/ --ratio 8 --data train.pt train.en --report report.html", "");
}

export function inspectArguments<T>(command: Argv<T>) {
	return outputOptions(command.positional("in", INPUT).options(shown(LOCATE_ARGUMENTS)))
		.example("$0 inspect model.onnx", "")
		.example("$0 inspect model/ --json inspected.json", "");
}

/** The same options where there is room for all of them. */
function shown<T extends Record<string, object>>(options: T): T {
	return Object.fromEntries(Object.entries(options).map(([name, option]) => [name, { ...option, hidden: false }])) as T;
}

const PLAN_ARGUMENTS = {
	ratio: {
		type: "number",
		array: true,
		requiresArg: true,
		...SIZE,
		describe: "make the vocabulary this many times smaller; one or more (default 4 8 16 32)",
	},
	rank: { ...NUMBER, ...SIZE, describe: "or: the bytes that factors of this rank would take" },
	"target-size": { ...TEXT, ...SIZE, coerce: sizeOf, describe: "or: bytes of the whole result, like 20MB" },
	blocks: COMPILE_ARGUMENTS.blocks,
	"frequency-power": COMPILE_ARGUMENTS["frequency-power"],
	data: { ...COMPILE_ARGUMENTS.data, ...DATA, describe: "your text, token ids or pairs (default: none, and no loss is predicted)" },
	tokenizer: { ...COMPILE_ARGUMENTS.tokenizer, ...DATA },
	seed: { ...COMPILE_ARGUMENTS.seed, ...DATA },
} as const;

export function planArguments<T>(command: Argv<T>) {
	return outputOptions(command.positional("in", INPUT).options(shown(PLAN_ARGUMENTS)).options(shown(LOCATE_ARGUMENTS)))
		.conflicts("rank", ["ratio", "target-size"])
		.conflicts("ratio", "target-size")
		.example("$0 plan model.onnx --data train.txt", "")
		.example("$0 plan model.onnx --target-size 20MB --data train.txt", "");
}

/** Of all commands, for suggestions. */
export const OPTION_NAMES: readonly string[] = [
	...Object.keys({ ...COMPILE_ARGUMENTS, ...LOCATE_ARGUMENTS, ...OUTPUT_ARGUMENTS, ...COMPARE_ARGUMENTS, ...BUILD_ARGUMENTS }),
	...["help", "all", "version"],
];

type Parsed = Omit<CompileOptions, "signal" | "onProgress" | "distill"> & { readonly noDistill?: boolean | undefined };

/** The options that the library's call understands, without what yargs adds. */
export function compileOptions({ noDistill, ...parsed }: Parsed): CompileOptions {
	const names = Object.keys({ ...COMPILE_ARGUMENTS, ...LOCATE_ARGUMENTS, threads: undefined });
	const known = new Set(names.map((name) => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())));
	const given = Object.fromEntries(Object.entries(parsed).filter(([name, value]) => known.has(name) && value !== undefined));
	return noDistill === true ? { ...given, distill: false } : given;
}
