// The command line of `compare`: its options, and what the library's call gets of them.
import type { Argv } from "yargs";
import type { CompareOptions } from "./options.js";

const TEXT = { type: "string", requiresArg: true } as const;
const NUMBER = { type: "number", requiresArg: true } as const;
const FLAG = { type: "boolean" } as const;
const DATA = { group: "Data:" } as const;
const MEASURE = { group: "Measure:" } as const;

/** Options of `compare` beyond those of every command. */
export const COMPARE_ARGUMENTS = {
	data: {
		type: "string",
		array: true,
		requiresArg: true,
		...DATA,
		describe: "texts, token ids, or pairs (two parallel files count as one)",
	},
	tokenizer: { ...TEXT, ...DATA, describe: "tokenizer.json (default: beside the teacher)" },
	counts: { type: "string", array: true, requiresArg: true, ...DATA, describe: "data to count tokens in, for the bins (default: --data)" },
	documents: { ...FLAG, ...DATA, describe: "each document from its own start, instead of windows" },
	window: { ...NUMBER, ...DATA, describe: "tokens per window (default: the context, at most 256)" },
	batch: { ...NUMBER, ...DATA, describe: "windows or pairs per run (default 8)" },
	tokens: { ...NUMBER, ...DATA, describe: "tokens to measure at most (default 100000)" },
	pairs: { ...NUMBER, ...DATA, describe: "pairs to measure at most (default 500)" },
	beam: { ...NUMBER, ...MEASURE, describe: "beams of the translations (default 1: greedy)" },
	"max-length": { ...NUMBER, ...MEASURE, describe: "tokens of a translation at most (default 2.5 × source)" },
	"start-id": { ...NUMBER, ...MEASURE, describe: "id before a translation (default: the model's files)" },
	"end-id": { ...NUMBER, ...MEASURE, describe: "id that ends a translation (default: the model's files)" },
	"mask-id": { ...NUMBER, ...MEASURE, describe: "id of hidden tokens (default: the model's files)" },
	seed: { ...NUMBER, ...MEASURE, describe: "of the choice of hidden tokens (default 0)" },
	"no-footprint": { ...FLAG, ...MEASURE, describe: "leave out load time, memory and speed" },
} as const;

export function compareArguments<T>(command: Argv<T>) {
	return command
		.positional("teacher", { type: "string", demandOption: true, describe: "the original: an .onnx file or a folder" })
		.positional("student", { type: "string", demandOption: true, describe: "the smaller model" })
		.options(COMPARE_ARGUMENTS)
		.example("$0 compare model.onnx small.onnx --data test.txt", "")
		.example("$0 compare marian/ marian-small/ --data test.pt test.en", "");
}

type Parsed = Omit<CompareOptions, "data" | "footprint" | "signal" | "onProgress"> & {
	readonly data?: readonly string[] | undefined;
	readonly noFootprint?: boolean | undefined;
};

/** The options that the library's call understands. */
export function compareOptions(parsed: Parsed): CompareOptions {
	const { tokenizer, counts, documents, window, batch, tokens, pairs, beam, maxLength, startId, endId, maskId, seed, threads } = parsed;
	const given = { tokenizer, counts, documents, window, batch, tokens, pairs, beam, maxLength, startId, endId, maskId, seed, threads };
	return { ...given, data: parsed.data ?? [], footprint: parsed.noFootprint !== true };
}
