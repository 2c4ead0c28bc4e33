// Benchmark of whole conversions: the command line, from file to verified file, against np.linalg.svd of the bare table in memory.
// usage: [PYTHON=…] node test/bench/convert.mjs [--rounds 3] [--size 32000x256 …]     (after npm run build)
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeModel, writeTable } from "./tables.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.PYTHON ?? "python3";
const RANK = 64;
/** Beyond this NumPy's SVD takes minutes. */
const LARGEST_SVD = 49_152 * 576;

const { values: options } = parseArgs({
	options: {
		rounds: { type: "string", default: "3" },
		size: { type: "string", multiple: true, default: ["32000x256", "49152x576", "151936x1024"] },
		threads: { type: "string", default: String(availableParallelism()) },
	},
});

const numpy = spawnSync(PYTHON, ["-c", "import numpy"]).status === 0;
if (!numpy) process.stdout.write(`no NumPy in ${PYTHON}: only our own times follow (set PYTHON to an interpreter that has it)\n`);
for (const size of options.size) {
	const [rows, cols] = size.split("x").map(Number);
	const work = mkdtempSync(join(tmpdir(), "convert-"));
	try {
		const table = join(work, "table.f32");
		writeTable(table, rows, cols);
		const model = join(work, "model.onnx");
		await writeModel(table, rows, cols, model);
		report(table, model, rows, cols, work);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

function report(table, model, rows, cols, work) {
	const ours = [];
	const peers = [];
	for (let round = 0; round < Number(options.rounds); round++) {
		ours.push(convert(model, join(work, `small-${round}.onnx`)));
		if (numpy && round === 0 && rows * cols <= LARGEST_SVD) peers.push(svd(table, rows, cols));
	}
	const bytes = statSync(model).size;
	const seconds = ours.map((each) => each.seconds).sort((a, b) => a - b);
	const peak = Math.max(...ours.map((each) => each.peak));
	const mib = (value) => `${(value / 2 ** 20).toFixed(0)} MiB`;
	process.stdout.write(`${rows}×${cols}, rank ${RANK}, file ${mib(bytes)}, ${options.threads} threads\n`);
	process.stdout.write(
		`  whole process   ${seconds[0].toFixed(2)} s least, ${seconds[seconds.length >> 1].toFixed(2)} s median, peak ${mib(peak)} (bound: the file and 300 MB, ${mib(bytes + 3e8)}${peak > bytes + 3e8 ? "; EXCEEDED" : ""})\n`,
	);
	if (peak > bytes + 3e8) process.exitCode = 1;
	process.stdout.write(`  passes of the first run: ${ours[0].passes}\n`);
	for (const peer of peers) process.stdout.write(`  np.linalg.svd   ${peer.toFixed(2)} s; ours takes ${(seconds[0] / peer).toFixed(2)}×\n`);
}

function convert(model, out) {
	const args = [
		join(HERE, "measured.mjs"),
		model,
		out,
		"--rank",
		RANK,
		"--method",
		"svd",
		"--quiet",
		"--threads",
		options.threads,
		"--json",
		"-",
	].map(String);
	const start = performance.now();
	const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
	const seconds = (performance.now() - start) / 1000;
	if (status !== 0) throw new Error(stderr);
	const passes = JSON.parse(stdout).passes.map(({ name, milliseconds }) => `${name} ${(milliseconds / 1000).toFixed(2)} s`);
	return { seconds, peak: Number(stderr.trim().split("\n").at(-1)), passes: passes.join(", ") };
}

function svd(table, rows, cols) {
	const args = [join(HERE, "reconstruct_peer.py"), table, rows, cols, RANK, 1, "svd"].map(String);
	const { status, stdout, stderr } = spawnSync(PYTHON, args, { encoding: "utf8" });
	if (status !== 0) throw new Error(stderr);
	return JSON.parse(stdout).seconds[0];
}
