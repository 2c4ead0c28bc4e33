// Memory, file handles and engine sessions over a long training, in this process.
// usage: npm run bench:long -- [--steps 2000] [--batch 4] [--length 32] [MODEL DATA]; without a model, the small language model of the fixtures
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { compile } from "../../src/index.js";
import { ROOT } from "./support.js";

export interface Sample {
	readonly step: number;
	/** Resident set, in bytes. */
	readonly resident: number;
	/** File handles, where the system tells. */
	readonly handles: number;
}

export interface LongRun {
	readonly model: string;
	readonly data: string;
	readonly steps: number;
	readonly batch: number;
	readonly length: number;
}

/** Trains, and looks at this process at most every `every` steps. */
export async function longRun({ model, data, ...training }: LongRun, every: number): Promise<Sample[]> {
	const folder = mkdtempSync(path.join(tmpdir(), "distemb-long-"));
	const collect = garbageCollector();
	const samples: Sample[] = [];
	try {
		await compile(model, path.join(folder, "out.onnx"), {
			...training,
			rank: 8,
			train: "all",
			data: [data],
			threads: 1,
			onProgress: ({ pass, note }) => {
				const step = Number(/^step (\d+)/.exec(note ?? "")?.[1] ?? Number.NaN);
				if (pass !== "distill" || !(step >= (samples.at(-1)?.step ?? -every) + every)) return;
				collect();
				samples.push({ step, resident: process.memoryUsage.rss(), handles: handles() });
			},
		});
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
	return samples;
}

/** Bytes a step by least squares, over the later three quarters: before that, caches fill. */
export function slopeOf(samples: readonly Sample[]): number {
	const last = samples.at(-1)?.step ?? 0;
	const late = samples.filter(({ step }) => step >= last / 4);
	const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
	const [step, resident] = [mean(late.map((one) => one.step)), mean(late.map((one) => one.resident))];
	const covariance = late.reduce((sum, one) => sum + (one.step - step) * (one.resident - resident), 0);
	return covariance / late.reduce((sum, one) => sum + (one.step - step) ** 2, 0);
}

/** What is only waiting to be collected is no leak. */
function garbageCollector(): () => void {
	setFlagsFromString("--expose-gc");
	return runInNewContext("gc") as () => void;
}

function handles(): number {
	return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

async function main(): Promise<void> {
	const { values, positionals } = parseArgs({
		allowPositionals: true,
		options: {
			steps: { type: "string", default: "2000" },
			batch: { type: "string", default: "4" },
			length: { type: "string", default: "32" },
		},
	});
	const fixture = path.join(ROOT, "fixtures/sotu-lm");
	const [model = path.join(fixture, "model.onnx"), data = path.join(fixture, "train.npy")] = positionals;
	const numbers = { steps: Number(values.steps), batch: Number(values.batch), length: Number(values.length) };
	const samples = await longRun({ model, data, ...numbers }, Math.max(1, Math.floor(numbers.steps / 40)));
	const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
	for (const { step, resident, handles: open } of samples) {
		process.stdout.write(`step ${step}: ${megabytes(resident)} MiB, ${open} handles\n`);
	}
	const slope = slopeOf(samples);
	process.stdout.write(`slope over the later three quarters: ${(slope / 1024).toFixed(2)} kiB a step, `);
	process.stdout.write(`${megabytes(slope * numbers.steps)} MiB over ${numbers.steps} steps\n`);
}

if (process.argv[1] === import.meta.filename) await main();
