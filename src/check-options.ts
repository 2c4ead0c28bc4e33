// Which options go together, and which numbers are possible: checked once, before anything is read.
import { DistembError } from "./errors.js";
import { type CompileOptions, flagOf, LOSSES, PHASES, TRAINED } from "./options.js";

/** @throws DistembError `usage` for contradictions and impossible numbers */
export function checkOptions(options: CompileOptions): void {
	const sizes = ["rank", "ratio", "targetSize"] as const;
	const given = sizes.filter((name) => options[name] !== undefined);
	if (given.length > 1) throw fail(`${given.map(flagOf).join(" and ")} exclude each other`, "give one of them");
	for (const name of ["rank", "inputRank", "outputRank", "threads", "steps", "batch", "length"] as const) {
		const value = options[name];
		if (value !== undefined && (!Number.isInteger(value) || value < 1)) throw fail(`${flagOf(name)} must be a whole number of at least 1`);
	}
	for (const name of ["ratio", "targetSize"] as const) {
		const value = options[name];
		if (value !== undefined && !(value > 0 && Number.isFinite(value))) throw fail(`${flagOf(name)} must be a positive number`);
	}
	if (options.seed !== undefined && !(Number.isInteger(options.seed) && options.seed >= 0))
		throw fail("--seed must be a whole number from 0");
	if (options.ops === "onnxruntime" && !QUANTIZED.has(options.dtype)) {
		throw fail("--ops onnxruntime is for quantized factors", "add --dtype int8 or --dtype mixed");
	}
	if (options.report !== undefined && options.dryRun === true)
		throw fail("--report is about a result, and --dry-run gives none", "leave one of them out");
	validateMixed(options);
	if (options.method === "paper" && options.dtype === "int8") throw fail("--method paper keeps float factors", "leave --dtype out");
	validateTraining(options);
	validateGates(options);
}

/** What --ops onnxruntime has operators for. */
const QUANTIZED: ReadonlySet<CompileOptions["dtype"]> = new Set(["int8", "mixed", "auto"]);

function validateMixed({ blocks, dtype, method, frequencyPower }: CompileOptions): void {
	const isMixed = dtype === "mixed" || dtype === "auto";
	if (blocks !== undefined && blocks !== "auto" && !(Number.isInteger(blocks) && blocks >= 1)) {
		throw fail("--blocks must be auto or a whole number of at least 1");
	}
	if (blocks !== undefined && blocks !== 1 && !isMixed) throw fail("--blocks is for columns of different precision", "add --dtype mixed");
	if (frequencyPower !== undefined && !(frequencyPower >= 0 && frequencyPower <= 1)) throw fail("--frequency-power must be from 0 to 1");
	if (frequencyPower !== undefined && !isMixed) throw fail("--frequency-power is for columns of different precision", "add --dtype mixed");
	if (isMixed && method === "paper") throw fail("--method paper keeps float factors", "leave --dtype out");
}

/** Options that say how to train: without training they say nothing. */
const TRAINING_ONLY = ["minutes", "steps", "batch", "length", "lr", "train", "phases", "loss", "resume"] as const;

function validateTraining(options: CompileOptions): void {
	const useless = TRAINING_ONLY.find((name) => options[name] !== undefined);
	const why = options.distill === false ? "--no-distill" : options.method === "svd" ? "--method svd" : undefined;
	if (useless !== undefined && why !== undefined)
		throw fail(`${flagOf(useless)} is for training, and ${why} trains nothing`, "leave one of them out");
	if (options.method === "svd" && options.distill === true) throw fail("--method svd trains nothing", "use --method distemb");
	if (options.minutes !== undefined && options.steps !== undefined)
		throw fail("--minutes and --steps exclude each other", "give one of them");
	for (const name of ["minutes", "lr"] as const) {
		const value = options[name];
		if (value !== undefined && !(value > 0 && Number.isFinite(value))) throw fail(`${flagOf(name)} must be a positive number`);
	}
	if (options.length === 1) throw fail("--length 1 leaves nothing to predict", "give at least 2");
	if (options.train !== undefined && !TRAINED.includes(options.train))
		throw fail(`--train ${options.train} is unknown`, `give ${TRAINED.join(", ")}`);
	validatePhases(options);
	validateLoss(options);
	if (options.data?.length === 0) throw fail("--data names no file", "name one, or leave it out");
	if (options.tokenizer !== undefined && options.data === undefined) throw fail("--tokenizer is for --data", "give --data");
}

function validatePhases({ phases, train = "all", method }: CompileOptions): void {
	if (phases === undefined) return;
	if (train !== "all") throw fail(`--phases are for training everything, and --train ${train} does not`, "leave one of them out");
	if (method === "paper") throw fail("--method paper trains everything at once", "leave --phases out");
	const places = phases.map((phase) => PHASES.indexOf(phase));
	if (phases.length === 0 || places.some((place, index) => place <= (places[index - 1] ?? -1)))
		throw fail(`--phases ${phases.join(",")} is no order`, `give some of ${PHASES.join(",")}, each once, in this order`);
}

function validateLoss({ loss = {}, method }: CompileOptions): void {
	for (const [name, weight] of Object.entries(loss)) {
		if (!LOSSES.some((known) => known === name)) throw fail(`--loss ${name} is unknown`, `give ${LOSSES.join(", ")}`);
		const least = name === "temperature" ? Number.MIN_VALUE : 0;
		if (weight !== undefined && !(weight >= least && Number.isFinite(weight)))
			throw fail(`--loss ${name} must be a ${name === "temperature" ? "positive number" : "number from 0"}`);
	}
	const [ignored] = method === "paper" ? Object.keys(loss).filter((name) => name !== "crossEntropy" && name !== "embedding") : [];
	if (ignored !== undefined) throw fail(`--method paper has no loss "${ignored}"`, "it has crossEntropy and embedding");
}

function validateGates(options: CompileOptions): void {
	for (const name of ["maxPerplexityIncrease", "maxKl"] as const) {
		const value = options[name];
		if (value === undefined) continue;
		if (!(value >= 0 && Number.isFinite(value))) throw fail(`${flagOf(name)} must be a number from 0`);
		if (options.data === undefined) throw fail(`${flagOf(name)} is measured on held-out data`, "give --data");
		if (options.dryRun === true) throw fail(`${flagOf(name)} needs a result to measure, and --dry-run gives none`, "leave one of them out");
	}
}

const fail = (message: string, hint?: string) => new DistembError("usage", message, { hint });
