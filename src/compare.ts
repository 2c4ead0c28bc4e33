// Teacher against student on the same data: opens both, measures, reports.
import { better, type Footprint, type FootprintRequest, footprintApart, footprintHere } from "./compare/footprint.js";
import { type AnySample, type Measured, measure } from "./compare/measure.js";
import { type CompareOptions, checkCompareOptions } from "./compare/options.js";
import { readUsage, type Usage } from "./data/usage.js";
import { DistembError, throwIfAborted } from "./errors.js";
import { threadsOf } from "./options.js";
import { COMPARE_REPORT_VERSION, type ComparedModel, type CompareReport } from "./report/compare.js";
import { contextOf } from "./runtime/decode/context.js";
import { openTextModel, type TextModel } from "./runtime/decode/model.js";
import { openModelData } from "./training/model-data.js";
import { TOOL } from "./version.js";

/**
 * Measures both models on the same data: perplexity, KL divergence, agreement, in all and by token frequency; BLEU and chrF2 of
 * translators; states of encoders; file bytes, load time, memory and time per token.
 * @param teacher the original: an .onnx file, or a folder with the files of one model
 * @param student the smaller model, of the same kind and vocabulary
 * @throws DistembError `usage`, `input` (data or files), `refused` (models that cannot be compared), `engine`, `interrupted`
 * @example
 * ```ts
 * import { compare } from "onnx-distemb";
 *
 * const { tokens } = await compare("model.onnx", "small.onnx", { data: ["test.txt"], signal: AbortSignal.timeout(600_000) });
 * console.log(tokens?.all.teacherPerplexity, tokens?.all.studentPerplexity);
 * ```
 */
export async function compare(teacher: string, student: string, options: CompareOptions): Promise<CompareReport> {
	checkCompareOptions(options);
	const threads = threadsOf(options);
	const stated = await readUsage(teacher, options);
	const models: TextModel[] = [];
	let measured: Measured;
	try {
		for (const [index, input] of [teacher, student].entries()) {
			options.onProgress?.({ pass: "load", fraction: index / 2 });
			models.push(await openTextModel(input, { threads }));
		}
		const both = comparable(models, student);
		const usage = { ...stated, context: stated.context ?? (await contextOf(both[0])) };
		measured = await measure(both, usage, await openSample(both[0], usage, options), options);
	} finally {
		for (const model of models) await model.close();
	}
	const [own, other] = comparable(models, student);
	const { figures, ...sample } = measured;
	const notes = [...figures.notes];
	const requests = [teacher, student].map((input) => ({ input, threads, steps: TIMED_TOKENS, ...sample }));
	const [cost, otherCost] = options.footprint === false ? [] : await footprints(requests, options, notes);
	const report = { teacher: modelReport(teacher, own, cost), student: modelReport(student, other, otherCost) };
	return { version: COMPARE_REPORT_VERSION, tool: TOOL, kind: own.kind, ...report, ...figures, notes };
}

async function openSample(teacher: TextModel, { tokenizer }: Usage, { data: files, counts: counted }: CompareOptions): Promise<AnySample> {
	const sample = { ...(await openModelData(files, teacher, tokenizer)), files };
	if (counted === undefined) return sample;
	const from = counted.join(", ");
	const counts = await openModelData(counted, teacher, tokenizer);
	if (sample.kind === "pairs" && counts.kind === "pairs") return { ...sample, counts: { data: counts.data, from } };
	if (sample.kind === "tokens" && counts.kind === "tokens") return { ...sample, counts: { data: counts.data, from } };
	throw new DistembError("internal", "data of two kinds for one model");
}

/** Decoded tokens of which the median time is reported. */
const TIMED_TOKENS = 32;

/** @throws DistembError `refused` if the models are of different kinds or vocabularies */
function comparable([teacher, student]: readonly TextModel[], at: string): readonly [TextModel, TextModel] {
	if (teacher === undefined || student === undefined) throw new DistembError("internal", "a model is missing");
	const hint = "compare a model with its own smaller version";
	if (teacher.kind !== student.kind)
		throw new DistembError("refused", `is ${NAMES[student.kind]}, the teacher ${NAMES[teacher.kind]}`, { at, hint });
	if (teacher.width !== student.width) {
		const what = teacher.kind === "encoder" ? "states of size" : "logits for a vocabulary of";
		throw new DistembError("refused", `gives ${what} ${student.width}, the teacher ${teacher.width}`, { at, hint });
	}
	return [teacher, student];
}

const NAMES: Readonly<Record<TextModel["kind"], string>> = {
	causal: "a causal language model",
	masked: "a masked language model",
	encoder: "an encoder without a head",
	translator: "a translator",
};

/** Each model is measured this often, in turns, and its best figures count: other work on the machine only ever adds. */
const ROUNDS = 3;

/** No further round begins after this time, in milliseconds: what takes long is hardly disturbed. */
const PATIENCE = 10_000;

async function footprints(requests: readonly FootprintRequest[], options: CompareOptions, notes: string[]): Promise<Footprint[]> {
	const best: Footprint[] = [];
	const start = performance.now();
	for (let round = 0; round < ROUNDS && (round === 0 || performance.now() - start < PATIENCE); round++)
		for (const [index, request] of requests.entries()) {
			options.onProgress?.({ pass: "speed", fraction: (round * requests.length + index) / (ROUNDS * requests.length) });
			const found = await footprintOf(request, options, notes);
			best[index] = best[index] === undefined ? found : better(best[index], found);
		}
	return best;
}

/** In a process of its own; or in this one, without its memory, if that cannot be had. */
async function footprintOf(request: FootprintRequest, { signal }: CompareOptions, notes: string[]): Promise<Footprint> {
	try {
		return await footprintApart(request, signal);
	} catch (error) {
		throwIfAborted(signal);
		if (!(error instanceof DistembError)) throw error;
		const note = `the memory of ${request.input} was not measured: ${error.message}`;
		if (!notes.includes(note)) notes.push(note);
		return await footprintHere(request);
	}
}

function modelReport(path: string, { files, unused, bytes, decodes, hasPast }: TextModel, footprint: Footprint | undefined): ComparedModel {
	return { path, files, unused, bytes, decodes, hasPast, ...footprint };
}
