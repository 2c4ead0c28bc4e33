// What is done with a case's folder: the tool's own calls, as a user or a caller makes them.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { loadArrays } from "../../src/data/arrays.js";
import type { Data } from "../../src/data/data.js";
import { isRecord } from "../../src/data/files.js";
import { openPairs, type PairOptions } from "../../src/data/pairs.js";
import { openTokenizer } from "../../src/data/tokenizer.js";
import { openTokens, type TokenOptions } from "../../src/data/tokens.js";
import { readUsage } from "../../src/data/usage.js";
import { compile, DistembError, inspect, plan } from "../../src/index.js";
import { encodeToBytes, openModel } from "../../src/onnx/index.js";
import { checkpointFolder } from "../../src/training/checkpoint-folder.js";
import type { Action, FuzzCase } from "./case.js";

export interface Folders {
	/** The case's files. */
	readonly input: string;
	/** Where results go. */
	readonly output: string;
	/** The model and data that checkpoints belong to. */
	readonly trained: string;
}

/** What a run of the command may take, in milliseconds: starting Node.js is most of it. */
const COMMAND_LIMIT = 60_000;

type Act = (test: FuzzCase, folders: Folders) => Promise<void>;

const first = ({ targets: [target = "."] }: FuzzCase, { input }: Folders) => path.join(input, target);

const SVD = { method: "svd", rank: 2, allowLarger: true, overwrite: true, threads: 1 } as const;

/** How the training of {@link Folders.trained} was asked for; a checkpoint goes on with nothing else. */
export const TRAINING = { rank: 2, steps: 6, batch: 1, length: 8, threads: 1, allowLarger: true, overwrite: true } as const;

const TEXTS = ["", "a", "one two b ab", "</s>", "\ud800 é 😀", "aaaa".repeat(50), "\0\n\t"];

/** Data from its beginning to its end. */
function reading(open: (files: readonly string[], options: TokenOptions & PairOptions) => Promise<Data<unknown>>): Act {
	return async ({ targets }, { input }) => {
		const { tokenizer } = await readUsage(input, {});
		const files = targets.map((target) => path.join(input, target));
		const data = await open(files, { tokenizer, rows: 600 });
		for await (const _ of data.read());
	};
}

const ACTS: Readonly<Record<Action, Act>> = {
	inspect: async (test, folders) => void (await inspect(first(test, folders), { threads: 1 })),
	"dry-run": async (test, folders) => void (await compile(first(test, folders), outputOf(test, folders), { ...SVD, dryRun: true })),
	encode: async (test, folders) => encodeAgain(modelIn(test, folders), folders),
	compile: async (test, folders) => void (await compile(first(test, folders), outputOf(test, folders), SVD)),
	plan: async (test, folders) => void (await plan(first(test, folders), { threads: 1 })),
	usage: async (_, { input }) => {
		const usage = await readUsage(input, {});
		const tokenizer = await openTokenizer(path.join(input, "tokenizer.json"));
		for (const text of TEXTS) {
			const ids = tokenizer.plain(text);
			tokenizer.decode(ids.slice(0, 64));
			tokenizer.document(text);
			if (usage.tokenizer?.conventions.eos !== undefined) tokenizer.sentence(text);
		}
		for (const id of [0, 1, -1, 2 ** 31]) tokenizer.name(id);
	},
	tokens: reading(openTokens),
	pairs: reading(openPairs),
	checkpoint: async (_, { input }) => {
		// With the identity that it says it has, so that the rest is looked at.
		const facts = (await loadArrays(path.join(input, "checkpoint.safetensors")))?.facts;
		const identity = isRecord(facts) && isRecord(facts.identity) ? facts.identity : {};
		const words = Object.fromEntries(Object.entries(identity).map(([key, value]) => [key, String(value)]));
		await checkpointFolder(input, words, input).load();
	},
	resume: async (_, { input, output, trained }) => {
		const out = path.join(output, "small.onnx");
		await compile(path.join(trained, "model.onnx"), out, { ...TRAINING, data: [path.join(trained, "data.jsonl")], resume: input });
	},
	command: runCommand,
};

/**
 * @throws DistembError, the one that the tool reports; anything else is a defect
 */
export async function act(test: FuzzCase, folders: Folders): Promise<void> {
	await ACTS[test.action](test, folders);
}

function modelIn({ targets: [target = "."], files }: FuzzCase, { input }: Folders): string {
	return path.join(input, target === "." ? ([...files.keys()].find((name) => name.endsWith(".onnx")) ?? ".") : target);
}

function outputOf({ targets: [target = "."] }: FuzzCase, { output }: Folders): string {
	return target === "." ? path.join(output, "folder") : path.join(output, "small.onnx");
}

/** What was opened can be written, and what was written opened. */
function encodeAgain(file: string, { output }: Folders): void {
	const open = openModel(file);
	const again = path.join(output, "again.onnx");
	try {
		writeFileSync(again, encodeToBytes(open.model, open.source));
	} finally {
		open.close();
	}
	try {
		openModel(again).close();
	} catch (cause) {
		// External data is inside now; whatever else is objected to is our own doing.
		throw new Error(`what was written cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
	}
}

const CLI = path.resolve(import.meta.dirname, "../../src/cli.js");

/** The program: one line of an error at most, one of its exit codes, no signal. */
async function runCommand(test: FuzzCase, folders: Folders): Promise<void> {
	const args = (test.args ?? []).map((arg) => (arg === "IN" ? first(test, folders) : arg === "OUT" ? outputOf(test, folders) : arg));
	const child = spawn(process.execPath, [CLI, ...args, "--threads", "1"], { cwd: folders.output, stdio: ["ignore", "ignore", "pipe"] });
	let stderr = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
	});
	const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_LIMIT);
	const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (code, by) => resolve([code, by]));
	});
	clearTimeout(timer);
	if (signal !== null) throw new Error(`the command was ended by ${signal}`);
	const errors = stderr.split("\n").filter((line) => line.startsWith("onnx-distemb: "));
	if (status === 0) return;
	if (errors.length !== 1) throw new Error(`the command ended with ${status} and ${errors.length} errors: ${stderr.slice(-500)}`);
	const [line = ""] = errors;
	// The code is not printed: what is "internal" has words of the language in it, or asks for a report.
	const isOurs = /\b(is not a function|undefined|Cannot read|please report|Maximum call stack|Invalid array length)\b/.test(line);
	if (![1, 2, 3, 4].includes(status ?? -1) || isOurs) throw new Error(`the command ended with ${status}: ${line}`);
	throw new DistembError("input", line);
}
