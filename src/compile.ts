// The pipeline: the whole story on one screen.
import { calibrate } from "../passes/calibrate/index.js";
import { distill } from "../passes/distill/index.js";
import { canBeCoded, codingSearches, factorize, plainTables, plannedRanks, plannedTables } from "../passes/factorize/index.js";
import { locate } from "../passes/locate/index.js";
import { quantize } from "../passes/quantize/index.js";
import { reconstruct } from "../passes/reconstruct/index.js";
import { verify } from "../passes/verify/index.js";
import { graphReports, takeGraphs } from "./details/graph.js";
import { gatherDetails, takeOriginal } from "./details.js";
import { DistembError, isOutOfMemory, throwIfAborted } from "./errors.js";
import { checkGates, evaluate } from "./evaluate.js";
import { gather } from "./gather.js";
import { type Bundle, clearLeftovers, openBundle, requireUnchanged, StagedOutput } from "./onnx/index.js";
import {
	COMPILE_DEFAULTS,
	type CommonOptions,
	type CompileOptions,
	DEFAULT_RANK,
	givenOptions,
	type LocateOptions,
	type PlanOptions,
	resolveOptions,
	threadsOf,
} from "./options.js";
import { type PassRunner, runPass, timed } from "./pass.js";
import { headSpeed, type PlanSources, planReport } from "./plan.js";
import type { GraphReport } from "./report/flow.js";
import { writePage } from "./report/page.js";
import type { PlanReport } from "./report/plan.js";
import {
	type CompileReport,
	factorReports,
	type InspectReport,
	inspectReport,
	passReports,
	sidesReports,
	verificationReports,
	warningsOf,
} from "./report/report.js";
import type { Located } from "./state.js";
import { TOOL } from "./version.js";
import { checkPaths, factsOf, loadedFrom, outputName, stagedPath, weightBytesOf, writeBundle } from "./workspace.js";

/**
 * Compiles a model: finds its vocabulary, factorizes it, and writes a smaller model. `onProgress` tells of each step; an aborted `signal`
 * ends it with an error `interrupted`. Then there is no output, and beside its place at most what a later run uses: calibrations and
 * generated texts (`OUTPUT.distemb-cache/`), and the checkpoint of a training under way (`OUTPUT.checkpoint/`, see `resume`).
 * @param input an .onnx file, or a folder with the files of one model
 * @param output a path of the same kind; must not exist unless `overwrite`
 * @returns the same object as the command line's `--json`; bytes, nats per predicted token, shares from 0 to 1
 * @throws DistembError of any code, see {@link ErrorCode}; nothing is written then
 * @example
 * ```ts
 * import { compile } from "onnx-distemb";
 *
 * const report = await compile("model.onnx", "small.onnx", { rank: 64, data: ["train.txt"], minutes: 5, onProgress: console.error });
 * console.log(report.savedBytes, report.quality?.tokens?.all.divergence, report.training?.best);
 * ```
 */
export async function compile(input: string, output: string, options: CompileOptions = {}): Promise<CompileReport> {
	resolveOptions(options);
	if (options.dryRun !== true) clearLeftovers(output);
	checkPaths(input, output, options);
	const report = await withBundle(input, async (bundle) => {
		const staged = options.dryRun === true ? undefined : new StagedOutput(output, bundle.kind);
		try {
			return await runPipeline(bundle, input, output, staged, options);
		} finally {
			staged?.discard();
		}
	});
	if (options.report !== undefined) await writePage(options.report, report);
	return report;
}

async function runPipeline(bundle: Bundle, input: string, output: string, staged: StagedOutput | undefined, given: CompileOptions) {
	const asked = resolveOptions(given);
	const runner = runnerFor(asked, asked.seed);
	const facts = factsOf(bundle, input);

	const located = await runPass(locate(asked), loadedFrom(bundle), runner);
	const options = given.dtype === "auto" && !canBeCoded(located) ? ({ ...asked, dtype: "int8" } as const) : asked;
	const report = { ...inspectReport(located, facts), tool: TOOL, options: givenOptions(given) };
	const original = takeOriginal(located, facts);
	const sized = { ...options, fileBytes: facts.bytes };
	if (staged === undefined) {
		const { predictedSavedBytes, groups } = await runPass(factorize(sized), located, runner);
		const graph = graphReports(original.graphs, groups, "factors before they are stored");
		const counted = { predictedSavedBytes, savedBytes: predictedSavedBytes, factors: [], verification: [], graph };
		return { ...report, ...counted, warnings: warningsOf(runner.records), passes: passReports(runner.records) };
	}

	const run = { input, output, bundle, options, facts, groups: plannedRanks(located, sized) };
	const { sample, training } = await timed("data", runner, (context) => gather(run, context));
	const calibrated =
		options.method === "distemb"
			? await runPass(calibrate({ corpus: sample?.corpus, cache: sample?.cache }), located, runner)
			: { ...located, calibrations: undefined };
	const factorized = await runPass(factorize(sized), calibrated, runner);
	const { method } = options;
	const reconstructed = await runPass(reconstruct({ method, calibrations: calibrated.calibrations }), factorized, runner);
	const distilled =
		training === undefined
			? { ...reconstructed, distillation: undefined }
			: await training.checkpoint.during(() => runPass(distill({ ...options, ...training, weights: options.loss }), reconstructed, runner));
	const isShown = options.report !== undefined;
	const storing = { ...options, refit: distilled.distillation === undefined, keepFactors: isShown };
	const quantized = await runPass(quantize(storing), distilled, runner);
	const bytes = await timed("write", runner, () => writeBundle(staged, bundle, output, options));
	const verified = await runPass(
		verify({ resultPathOf: ({ name }) => staged.pathOf(outputName(bundle, name, output)) }),
		quantized,
		runner,
	);
	const models = [input, stagedPath(staged, bundle, output)] as const;
	const measured = sample && (await timed("measure", runner, (context) => evaluate(models, sample, context, isShown)));
	await training?.checkpoint.remove();
	checkGates(measured?.quality, options);
	const shown = { ...run, options: given, original, bytes, ...measured, sample, calibrations: calibrated.calibrations };
	const details = isShown ? await timed("report", runner, (context) => gatherDetails(quantized, shown, context)) : undefined;
	throwIfAborted(options.signal);
	requireUnchanged(bundle);
	await staged.commit(options.overwrite);

	return {
		...report,
		graph: graphReports(original.graphs, quantized.groups, "as it was written"),
		predictedSavedBytes: factorized.predictedSavedBytes,
		savedBytes: facts.weightBytes - weightBytesOf(bundle),
		output: { path: output, bytes, files: staged.files },
		factors: factorReports(quantized),
		...(factorized.sides.length === 0 ? {} : { sides: sidesReports(factorized.sides) }),
		verification: verificationReports(verified),
		...(distilled.distillation === undefined ? {} : { training: distilled.distillation }),
		...(measured === undefined ? {} : { quality: measured.quality }),
		...(details === undefined ? {} : { details }),
		warnings: warningsOf(runner.records),
		passes: passReports(runner.records),
	} satisfies CompileReport;
}

/**
 * Finds the vocabulary of a model and says what was found; writes nothing.
 * @param input an .onnx file, or a folder with the files of one model
 * @throws DistembError `input`, `refused`, or `nothing-to-do` if there is none
 * @example
 * ```ts
 * import { inspect } from "onnx-distemb";
 *
 * const { vocabularies, bytes } = await inspect("model.onnx");
 * console.log(vocabularies.map(({ name, rows, cols }) => `${name}: ${rows} × ${cols}`), bytes.vocabulary);
 * ```
 */
export async function inspect(input: string, options: LocateOptions & CommonOptions = {}): Promise<InspectReport> {
	return await withBundle(input, async (bundle) => {
		const located = await runPass(locate(options), loadedFrom(bundle), runnerFor(options, 0));
		return { ...inspectReport(located, factsOf(bundle, input)), graph: await rewritten(located) };
	});
}

/** What a rewrite would make of the graph around each vocabulary: to be shown, it has no values. */
async function rewritten(located: Located): Promise<readonly GraphReport[]> {
	const taken = takeGraphs(located.vocabularies);
	const options = { ...COMPILE_DEFAULTS, size: { rank: DEFAULT_RANK }, allowLarger: true, keepOtherReaders: true };
	try {
		const { groups } = await runPass(factorize(options), located, runnerFor({}, options.seed));
		return graphReports(taken, groups, `as --rank ${DEFAULT_RANK} would make it`);
	} catch (error) {
		if (!(error instanceof DistembError && (error.code === "refused" || error.code === "nothing-to-do"))) throw error;
		return graphReports(taken, [], `not rewritten: ${error.message}`);
	}
}

/** Sizes that are planned if none is asked for: the vocabulary so many times smaller. */
const PLANNED_RATIOS = [4, 8, 16, 32] as const;

/**
 * What a model would become at several sizes, with columns of different precision: bytes, blocks, the loss that is predicted, the time of
 * the projections. Nothing is trained or written. The loss is predicted from `data`; without it there is none.
 * @param input an .onnx file, or a folder with the files of one model
 * @throws DistembError `usage`, `input`, `refused`, or `nothing-to-do` if there is no vocabulary
 * @example
 * ```ts
 * import { plan } from "onnx-distemb";
 *
 * const { sizes } = await plan("model.onnx", { ratios: [8, 16], data: ["train.txt"] });
 * for (const { size, fileBytes, predictedLoss } of sizes) console.log(size, fileBytes, predictedLoss);
 * ```
 */
export async function plan(input: string, options: PlanOptions = {}): Promise<PlanReport> {
	const { ratios = PLANNED_RATIOS, rank, targetSize, data } = options;
	const resolved = resolveOptions({ ...options, dtype: "mixed", distill: false });
	const sizes = rank === undefined && targetSize === undefined ? ratios.map((ratio) => ({ ratio })) : [{ rank, targetBytes: targetSize }];
	return await withBundle(input, async (bundle) => {
		const runner = runnerFor(options, resolved.seed);
		const facts = factsOf(bundle, input);
		const located = await runPass(locate(options), loadedFrom(bundle), runner);
		const run = { input, output: input, bundle, options: resolved, facts, groups: [] };
		const sample = data === undefined ? undefined : (await timed("data", runner, (context) => gather(run, context))).sample;
		const calibrated = await runPass(calibrate({ corpus: sample?.corpus }), located, runner);
		return await timed("plan", runner, async (context) => {
			const sized = { ...resolved, fileBytes: facts.bytes };
			const searches = await codingSearches(calibrated, sized, context, true);
			const head = await headSpeed(located.vocabularies, context.threads);
			const sources: PlanSources = {
				millisecondsPerNumber: head,
				tablesFor: (size) => plannedTables(located, { ...sized, size }, searches),
				plain: plainTables(searches, sized),
			};
			return planReport(calibrated, facts, sources, sizes);
		});
	});
}

async function withBundle<T>(input: string, work: (bundle: Bundle) => Promise<T>): Promise<T> {
	const bundle = openBundle(input);
	try {
		return await work(bundle);
	} catch (error) {
		if (isOutOfMemory(error) && !(error instanceof DistembError))
			throw new DistembError("engine", "there is not enough memory to convert it", {
				at: input,
				hint: "free some, or use another machine",
				cause: error,
			});
		if (!(error instanceof DistembError)) throw error;
		// The engine opens files by name, at any time: what it says about another file than ours is no help.
		if (error.code !== "interrupted") requireUnchanged(bundle);
		throw error.located(input);
	} finally {
		bundle.close();
	}
}

function runnerFor(options: CommonOptions, seed: number): PassRunner {
	return { signal: options.signal, onProgress: options.onProgress, threads: threadsOf(options), seed, records: [] };
}
