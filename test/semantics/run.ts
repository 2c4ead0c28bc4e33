// Converts the model of a disguise at full rank, runs both in the engine, and judges what came of it by the truth.
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type CompileReport, compile, DistembError } from "../../src/index.js";
import { encodeToBytes } from "../../src/onnx/index.js";
import { type Feeds, openSession } from "../../src/runtime/session.js";
import { modelOf, textOf } from "./build.js";
import { type Disguise, truthOf } from "./disguise.js";

/** Largest difference, relative to the largest number of an output. Casts to float16 along the way round by 2⁻¹¹. */
const EXACT = 1e-4;
const HALF = 2e-3;

/**
 * What is wrong with the conversion of a model like this, or undefined. Files are made in `folder`.
 * @param rank full by default
 */
export async function judge(disguise: Disguise, folder: string, rank = disguise.cols): Promise<string | undefined> {
	const input = path.join(folder, "in.onnx");
	const output = path.join(folder, "out.onnx");
	const model = modelOf(textOf(disguise));
	writeFileSync(input, encodeToBytes(model));
	rmSync(output, { force: true });
	const { expected, ...truth } = truthOf(disguise);
	const { keepOtherReaders } = disguise;
	let report: CompileReport;
	try {
		report = await compile(input, output, { rank, allowLarger: true, method: "svd", dtype: "float32", threads: 1, keepOtherReaders });
	} catch (error) {
		if (!(error instanceof DistembError)) throw error;
		return error.code === expected ? undefined : `${expected} is right, but it ended as ${error.code}: ${error.toLine()}`;
	}
	if (expected !== "rewrite") return `${expected} is right, but it was rewritten`;
	return found(report, truth) ?? (await difference(input, output, disguise));
}

function found({ vocabularies }: CompileReport, { lookups, projections, tied }: Omit<ReturnType<typeof truthOf>, "expected">) {
	const counts = [vocabularies.flatMap((one) => one.lookups).length, vocabularies.flatMap((one) => one.projections).length];
	if (counts[0] !== lookups || counts[1] !== projections)
		return `${counts.join(" and ")} lookups and projections were found of ${lookups} and ${projections}`;
	const isTied = vocabularies.some((one) => one.tied);
	return isTied === tied ? undefined : `it was ${isTied ? "" : "not "}found to be tied`;
}

async function difference(input: string, output: string, disguise: Disguise): Promise<string | undefined> {
	const most = disguise.endings.includes("half") ? HALF : EXACT;
	for (const flag of [1, 0]) {
		const [before, after] = [await outputsOf(input, disguise, flag), await outputsOf(output, disguise, flag)];
		for (const [name, { data, dims }] of Object.entries(before)) {
			const other = after[name];
			if (other?.dims.join() !== dims.join()) return `output "${name}" has other sizes`;
			const [a, b] = [Array.from(data, Number), Array.from(other.data, Number)];
			const largest = Math.max(1e-6, ...a.map(Math.abs));
			const worst = Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN)))) / largest;
			if (!(worst <= most)) return `output "${name}" differs by ${worst.toExponential(2)}`;
		}
	}
	return undefined;
}

/** Without the engine's own fusions, which round in their own ways. */
async function outputsOf(model: string, { rows }: Disguise, flag: number): Promise<Feeds> {
	const session = await openSession(model, { threads: 1, optimization: "basic" });
	try {
		const ids = (step: number, limit: number) => ({
			dtype: "int64" as const,
			dims: [2, 4],
			data: BigInt64Array.from({ length: 8 }, (_, index) => BigInt(index === 0 ? limit - 1 : (index * step) % limit)),
		});
		const feeds: Feeds = {
			ids: ids(3, rows),
			others: ids(5, rows),
			places: ids(1, 4),
			flag: { dtype: "bool", dims: [], data: Uint8Array.of(flag) },
		};
		const names = new Set(session.inputs.map(({ name }) => name));
		return await session.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => names.has(name))));
	} finally {
		await session.close();
	}
}
