// A folder beside the output that keeps a training under way, with what it belongs to.
import path from "node:path";
import { loadArrays, removeArrays, saveArrays } from "../data/arrays.js";
import { isRecord } from "../data/files.js";
import { DistembError } from "../errors.js";
import type { CheckpointFacts, CheckpointStore } from "./checkpoint.js";

/** What a training belongs to: contents of files as hashes, options as text, by the names that messages call them. */
export type Identity = Readonly<Record<string, string>>;

export interface CheckpointFolder extends CheckpointStore {
	/**
	 * Does `work`, which saves here.
	 * @throws DistembError as `work` does; of an interruption after something was saved it says how to go on
	 */
	readonly during: <T>(work: () => Promise<T>) => Promise<T>;
	/** Removes what this run saved or went on from: it is finished. */
	readonly remove: () => Promise<void>;
}

export const CHECKPOINT_NAME = "checkpoint.safetensors";

/** Folder that keeps the training of an output while it is under way. */
export const checkpointPath = (output: string): string => `${output}.checkpoint`;

/** Raised when fields of the facts change their meaning. */
const VERSION = 4;

/**
 * Keeps checkpoints in `folder`.
 * @param resume a folder to go on from; undefined: begin anew
 */
export function checkpointFolder(folder: string, identity: Identity, resume: string | undefined): CheckpointFolder {
	const file = path.join(folder, CHECKPOINT_NAME);
	let saved = false;
	return {
		during: async (work) => {
			try {
				return await work();
			} catch (error) {
				if (!saved || !(error instanceof DistembError) || error.code !== "interrupted") throw error;
				const hint = `go on with the same command and --resume ${folder}`;
				throw new DistembError("interrupted", "interrupted; the training so far is kept", { at: folder, hint, cause: error });
			}
		},
		load: async () => {
			if (resume === undefined) return undefined;
			const at = path.join(resume, CHECKPOINT_NAME);
			const kept = await loadArrays(at);
			if (kept === undefined)
				throw new DistembError("input", "holds no checkpoint", { at: resume, hint: "name the folder that the interrupted run named" });
			return { facts: factsOf(kept.facts, identity, at), arrays: kept.arrays };
		},
		save: async ({ facts, arrays }) => {
			await saveArrays(file, { facts: { version: VERSION, identity, training: facts }, arrays });
			saved = true;
		},
		remove: async () => {
			await removeArrays(file);
			if (resume !== undefined) await removeArrays(path.join(resume, CHECKPOINT_NAME));
		},
	};
}

/** @throws DistembError `usage` that names the first option, model or data that is not the checkpoint's; `input` */
function factsOf(kept: unknown, identity: Identity, at: string): CheckpointFacts {
	if (!isRecord(kept) || kept.version !== VERSION || !isRecord(kept.identity) || !isRecord(kept.training))
		throw new DistembError("input", "is a checkpoint of another version", { at, hint: "begin anew, without --resume" });
	for (const name of new Set([...Object.keys(identity), ...Object.keys(kept.identity)])) {
		const [now, then] = [identity[name], kept.identity[name]];
		if (now === then) continue;
		const what = name.startsWith("--")
			? `was made with ${name} ${then ?? "left out"}, not ${now ?? "left out"}`
			: `belongs to another ${name}`;
		throw new DistembError("usage", what, { at, hint: "give the same model, data and options as then, or leave --resume out" });
	}
	const facts = kept.training;
	if (!isWhole(facts)) throw new DistembError("input", "is a damaged checkpoint", { at, hint: "begin anew, without --resume" });
	// Written by save() of the same version, and looked through.
	const whole = facts as unknown as CheckpointFacts;
	const { best } = whole;
	return { ...whole, best: { ...best, validation: best.validation ?? Number.POSITIVE_INFINITY } };
}

const COUNTS = [
	"phase",
	"step",
	"updates",
	"epoch",
	"batch",
	"tokens",
	"rollbacks",
	"plateaus",
	"lossCount",
	"stale",
] as const satisfies readonly (keyof CheckpointFacts)[];

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isNumber = (value: unknown): boolean => typeof value === "number";

/** Every part of the facts is there and of its kind; JSON has null for what is not finite. */
function isWhole({ run, best, curve, held, firstLoss, lossSum, seconds, ...rest }: Readonly<Record<string, unknown>>): boolean {
	return (
		COUNTS.every((name) => isCount(rest[name])) &&
		typeof run === "string" &&
		[lossSum, seconds].every(isNumber) &&
		(held === undefined || isCount(held)) &&
		(firstLoss === undefined || isNumber(firstLoss)) &&
		isRecord(best) &&
		isCount(best.step) &&
		isCount(best.updates) &&
		(best.validation === null || isNumber(best.validation)) &&
		Array.isArray(curve) &&
		curve.every(isRecord)
	);
}
