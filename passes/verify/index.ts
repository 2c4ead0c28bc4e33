// verify: the original and the written result run in the engine on the same inputs, and their outputs are compared.
import { DistembError, throwIfAborted } from "../../src/errors.js";
import type { Model } from "../../src/ir/graph.js";
import { allGraphs, allNodes } from "../../src/ir/walk.js";
import type { Pass, PassContext } from "../../src/pass.js";
import { type MadeRun, type MadeRuns, runOnMadeInputs } from "../../src/runtime/attempts.js";
import { openMapped } from "../../src/runtime/mapped.js";
import { isFloatType, reader } from "../../src/runtime/numbers.js";
import { type EngineTensor, openSession, type Session } from "../../src/runtime/session.js";
import { sourceInput } from "../../src/runtime/trace.js";
import type { ModelFile, OutputComparison, Quantized, Verdict, Verified, Vocabulary } from "../../src/state.js";
import { compareOutputs, type Difference } from "./compare.js";

export { type CompareOptions, compareOutputs, type Difference } from "./compare.js";

export interface VerifyOptions {
	/** Absolute path of the written result of `file`, with its data files beside it. */
	readonly resultPathOf: (file: ModelFile) => string;
}

/** Results with more bytes of weights are run without the engine's preparations, which hold a second form of them. */
const LARGE = 2 ** 26;

/** Memory that a conversion may take besides its files. */
const ALLOWANCE = 300e6;

/**
 * The pass that runs each file's original and result, one after the other, on inputs made from the graph's signature.
 * A model that the engine cannot run gets a verdict with the reason and no error.
 * @throws DistembError `refused` if a result gives NaN or infinity where the original gives finite numbers, or cannot run because the model
 * declares a wrong shape; `internal` if it does not load, does not run for another reason, or gives other shapes where the original runs
 */
export function verify(options: VerifyOptions): Pass<Quantized, Verified> {
	return {
		name: "verify",
		run: async (state, context) => {
			const verdicts: { file: string; verdict: Verdict }[] = [];
			for (const [index, file] of state.files.entries()) {
				throwIfAborted(context.signal);
				context.progress(index / state.files.length, file.name);
				const verdict = await verdictOn(file, options.resultPathOf(file), state.vocabularies, context);
				verdicts.push({ file: file.name, verdict });
				context.log(summary(file.name, verdict));
			}
			return { ...state, verdicts };
		},
	};
}

async function verdictOn(file: ModelFile, resultPath: string, vocabularies: readonly Vocabulary[], context: PassContext): Promise<Verdict> {
	const before = peakMemory();
	const made = await runOriginal(file, vocabularies, context);
	if (made instanceof DistembError) return { ran: false, reason: made.message, comparisons: [] };
	for (const { label, reason } of made.failures) context.log(`${file.name}: no inputs "${label}" that the original accepts: ${reason}`);
	if (made.runs.length === 0) return { ran: false, reason: made.failures[0]?.reason ?? "it has no outputs", comparisons: [] };
	throwIfAborted(context.signal);
	const comparisons = await compareResult(file, resultPath, made.runs, vocabularies, context);
	const needed = peakMemory();
	const original = Math.max(file.bytes, weightBytes(file.model) + vocabularies.reduce((sum, { bytes }) => sum + bytes, 0));
	if (needed > before && needed > original + ALLOWANCE) {
		context.log(`${file.name}: the engine took memory up to ${megabytes(needed)}, for files of ${megabytes(original)}`);
	}
	return { ran: true, reason: randomness(file.model), comparisons };
}

/** Runs the original, its weights mapped if the engine can, on everything its signature suggests; the engine's error if it takes none of it. */
async function runOriginal(file: ModelFile, vocabularies: readonly Vocabulary[], context: PassContext): Promise<MadeRuns | DistembError> {
	const { threads, seed, log } = context;
	const options = { tokenInputs: tokenInputsOf(file, vocabularies), seed };
	const attempt = (session: Promise<Session>) => orEngineError(withSession(session, (open) => runOnMadeInputs(open, file.model, options)));
	const worked = (made: MadeRuns | DistembError) => !(made instanceof DistembError) && made.runs.length > 0;
	const mapped = await attempt(openMapped(file.path, { threads }));
	if (worked(mapped)) return mapped;
	const copied = await attempt(openSession(file.path, { threads }));
	if (worked(copied)) log(`${file.name}: the original runs with its weights copied to memory only`);
	return copied;
}

/** What `work` gives, or the error if it is the engine's. */
async function orEngineError<T>(work: Promise<T>): Promise<T | DistembError> {
	try {
		return await work;
	} catch (cause) {
		if (cause instanceof DistembError && cause.code === "engine") return cause;
		throw cause;
	}
}

/** The engine's words for a Scan whose body declares a wrong shape: it then lives on what it can infer, which a rewrite changes. */
const WRONG_SHAPE = /Subgraph must have the shape set for all outputs/;

async function compareResult(
	file: ModelFile,
	resultPath: string,
	runs: readonly MadeRun[],
	vocabularies: readonly Vocabulary[],
	{ threads }: PassContext,
): Promise<OutputComparison[]> {
	const sizes = vocabularySizes(file, vocabularies);
	const comparisons: OutputComparison[] = [];
	let overflowing: string | undefined;
	try {
		const lean = weightBytes(file.model) > LARGE;
		await withSession(openSession(resultPath, { threads, lean, arena: !lean }), async (session) => {
			for (const { label, feeds, outputs } of runs) {
				const results = await session.run(feeds, Object.keys(outputs));
				for (const [output, original] of Object.entries(outputs)) {
					if (isAllFinite(original) && !isAllFinite(results[output])) overflowing ??= output;
					const difference = differenceOf(output, original, results[output], sizes.has(original.dims.at(-1) ?? 0));
					comparisons.push({ file: file.name, output, inputs: label, ...difference });
				}
			}
		});
	} catch (cause) {
		if (!(cause instanceof DistembError)) throw cause;
		if (WRONG_SHAPE.test(cause.message)) {
			const message = `onnxruntime runs the original, but not the result: ${cause.toLine()}`;
			throw new DistembError("refused", message, {
				at: file.name,
				hint: "correct the shapes that the model declares in its bodies",
				cause,
			});
		}
		const message = `the result differs in kind from the original, which runs: ${cause.toLine()}`;
		throw new DistembError("internal", message, { at: file.name, hint: "please report this with the model's structure", cause });
	}
	if (overflowing !== undefined) {
		const message = `output "${overflowing}" of the result holds NaN or infinity where the original's is finite`;
		throw new DistembError("refused", message, { at: file.name, hint: "use --dtype float32, or a larger rank" });
	}
	return comparisons;
}

/** True for types that are no floats; false for what is missing. */
function isAllFinite(tensor: EngineTensor | undefined): boolean {
	if (tensor === undefined || !isFloatType(tensor.dtype)) return tensor !== undefined;
	const number = reader(tensor);
	for (let index = 0; index < tensor.data.length; index++) if (!Number.isFinite(number(index))) return false;
	return true;
}

/** As {@link compareOutputs}, with the output's name in the error. */
function differenceOf(output: string, original: EngineTensor, result: EngineTensor | undefined, vocabulary: boolean): Difference {
	const at = `output "${output}"`;
	if (result === undefined) throw new DistembError("internal", "is missing", { at });
	try {
		return compareOutputs(original, result, { vocabulary });
	} catch (cause) {
		throw cause instanceof DistembError ? cause.located(at) : cause;
	}
}

async function withSession<T>(opening: Promise<Session>, use: (session: Session) => Promise<T>): Promise<T> {
	const session = await opening;
	try {
		return await use(session);
	} finally {
		await session.close();
	}
}

/** Bytes of the stored tensors of `model`. */
function weightBytes(model: Model): number {
	let bytes = 0;
	for (const { initializers } of allGraphs(model, true)) for (const { tensor } of initializers) bytes += tensor?.byteLength ?? 0;
	return bytes;
}

/** The most memory that this process has had, in bytes. */
const peakMemory = () => process.resourceUsage().maxRSS * 1024;

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

/** Vocabulary size for every graph input of `file` that a lookup's ids come from. */
function tokenInputsOf(file: ModelFile, vocabularies: readonly Vocabulary[]): Map<string, number> {
	const sizes = new Map<string, number>();
	for (const { lookups, table } of vocabularies) {
		for (const lookup of lookups) {
			const input = lookup.file === file ? sourceInput(lookup.ids) : undefined;
			if (input !== undefined) sizes.set(input.name, Math.min(table.rows, sizes.get(input.name) ?? table.rows));
		}
	}
	return sizes;
}

/** Sizes of the vocabularies that `file` projects to: an output with such a last axis is one number per token. */
function vocabularySizes(file: ModelFile, vocabularies: readonly Vocabulary[]): Set<number> {
	const projecting = vocabularies.filter(({ projections }) => projections.some((projection) => projection.file === file));
	return new Set(projecting.map(({ table }) => table.rows));
}

/** A warning if the graph draws random numbers, whose differences are none of ours. */
function randomness(model: Model): string | undefined {
	for (const { opType, attributes } of allNodes(model, true)) {
		const isRandom = /^Random|^Multinomial$|^Bernoulli$/.test(opType);
		if (isRandom && !attributes.has("seed")) return `${opType} draws random numbers; the differences contain its own`;
	}
	return undefined;
}

function summary(file: string, { ran, reason, comparisons }: Verdict): string {
	if (!ran) return `${file}: not run: ${reason ?? "unknown"}`;
	const sets = new Set(comparisons.map(({ inputs }) => inputs)).size;
	const worst = comparisons.reduce((largest, { relativeDifference }) => Math.max(largest, relativeDifference), 0);
	return `${file}: ${sets} ${sets === 1 ? "set" : "sets"} of inputs, largest relative difference ${worst.toExponential(1)}`;
}
