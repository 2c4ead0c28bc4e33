// What an output was made from, kept beside it as OUTPUT.distemb.json: by this a later build knows whether it is up to date.
import path from "node:path";
import { contentHash } from "../data/cache.js";
import { isFile, isRecord, jsonObject } from "../data/files.js";
import { usageFiles } from "../data/usage.js";
import { writeWhole } from "../data/whole.js";
import { DistembError, throwIfAborted } from "../errors.js";
import { filesOfBundle, openBundle } from "../onnx/index.js";
import type { CompileReport } from "../report/report.js";
import { TOOL } from "../version.js";
import type { PlannedModel } from "./planned.js";

/** SHA-256 of contents, by the files' names. */
type Hashes = Readonly<Record<string, string>>;

/** Everything that decides on the result, except the machine. */
export interface Origin {
	readonly tool: string;
	/** As configured, as JSON. */
	readonly options: Readonly<Record<string, string>>;
	/** Model, external data, tokenizer, configuration, data; of a folder every file. */
	readonly inputs: Hashes;
}

/** The contents of the file. */
export interface BuildRecord {
	readonly version: typeof RECORD_VERSION;
	readonly origin: Origin;
	readonly outputs: Hashes;
	readonly report: CompileReport;
}

/** Raised when fields change their meaning: what was built before is then built anew. */
const RECORD_VERSION = 1;

const recordFile = (output: string): string => `${output}.distemb.json`;

/** @throws DistembError `input` if a file is missing or the model is broken */
export async function originOf(
	{ model, input, options }: PlannedModel,
	threads: number | undefined,
	signal?: AbortSignal,
): Promise<Origin> {
	const { input: _input, output: _output, report: _report, ...asked } = { ...model, threads: model.threads ?? threads };
	const given = Object.entries(asked).filter(([, value]) => value !== undefined);
	const files = [...modelFiles(input), ...(await usageFiles(input, options)), ...(options.data ?? [])];
	return {
		tool: `${TOOL.name} ${TOOL.version}`,
		options: Object.fromEntries(given.map(([name, value]) => [name, JSON.stringify(value)])),
		inputs: await hashesOf([...new Set(files.map((file) => path.resolve(file)))], path.dirname(path.resolve(input)), signal),
	};
}

function modelFiles(input: string): string[] {
	const bundle = openBundle(input);
	try {
		return [...filesOfBundle(bundle), ...bundle.others.map((name) => path.join(bundle.path, name))];
	} finally {
		bundle.close();
	}
}

/** Names are relative to `folder`. */
async function hashesOf(files: readonly string[], folder: string, signal?: AbortSignal): Promise<Hashes> {
	const hashes: Record<string, string> = {};
	for (const file of files) {
		throwIfAborted(signal);
		hashes[path.relative(folder, file)] = await contentHash([file]);
	}
	return hashes;
}

/** What was built: undefined if nothing was; `unreadable` if that is no longer known. */
export async function readRecord(output: string): Promise<BuildRecord | "unreadable" | undefined> {
	try {
		const kept = await jsonObject(recordFile(output));
		if (kept === undefined) return undefined;
		const isWhole = kept.version === RECORD_VERSION && isRecord(kept.origin) && isRecord(kept.outputs) && isRecord(kept.report);
		// Written by writeRecord() of the same version.
		return isWhole ? (kept as unknown as BuildRecord) : "unreadable";
	} catch (error) {
		if (error instanceof DistembError) return "unreadable";
		throw error;
	}
}

/** To be called when the output is there. */
export async function writeRecord(output: string, origin: Origin, report: CompileReport, signal?: AbortSignal): Promise<void> {
	const outputs = await hashesOf(outputFiles(output, report), path.dirname(path.resolve(output)), signal);
	const record: BuildRecord = { version: RECORD_VERSION, origin, outputs, report };
	await writeWhole(recordFile(output), (handle) => handle.writeFile(`${JSON.stringify(record)}\n`));
}

/** A directory's files lie in it, those of a file beside it. */
function outputFiles(output: string, { output: written }: CompileReport): string[] {
	const files = written?.files ?? [];
	const full = path.resolve(output);
	const folder = files.includes(path.basename(full)) ? path.dirname(full) : full;
	return files.map((name) => path.join(folder, name));
}

/** Why a model must be built, in words; undefined: it is up to date. */
export async function reasonToBuild(
	record: BuildRecord | "unreadable" | undefined,
	origin: Origin,
	{ output, options }: Pick<PlannedModel, "output" | "options">,
): Promise<string | undefined> {
	if (record === undefined) return "new";
	if (record === "unreadable") return "what was built before cannot be read";
	if (record.origin.tool !== origin.tool) return `${record.origin.tool} built it before`;
	return (
		differenceOf(record.origin.options, origin.options, "option ") ??
		differenceOf(record.origin.inputs, origin.inputs, "") ??
		(await damageOf(record.outputs, path.dirname(path.resolve(output)))) ??
		(options.report === undefined || (await isFile(options.report)) ? undefined : `${path.basename(options.report)} is missing`)
	);
}

function differenceOf(before: Hashes, after: Hashes, what: string): string | undefined {
	for (const name of new Set([...Object.keys(after), ...Object.keys(before)])) {
		if (before[name] === after[name]) continue;
		return `${what}${name} ${before[name] === undefined ? "is new" : after[name] === undefined ? "is gone" : "changed"}`;
	}
	return undefined;
}

async function damageOf(outputs: Hashes, folder: string): Promise<string | undefined> {
	for (const [name, hash] of Object.entries(outputs)) {
		const file = path.join(folder, name);
		if (!(await isFile(file))) return `${name} is missing`;
		if ((await contentHash([file])) !== hash) return `${name} is not as it was built`;
	}
	return undefined;
}
