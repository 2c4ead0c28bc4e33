// Benchmark of the reconstruction: ours against the same closed form, and the SVD, in NumPy; each in processes of its own, in turn.
// usage: [PYTHON=…] node test/bench/reconstruct.mjs [--rounds 3] [--runs 2] [--size 32000x256 …]     (after npm run build)
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const SELF = fileURLToPath(import.meta.url);
const PYTHON = process.env.PYTHON ?? "python3";
const RANK = 64;
/** Beyond this NumPy's SVD takes minutes. */
const LARGEST_SVD = 49_152 * 576;

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		rounds: { type: "string", default: "3" },
		runs: { type: "string", default: "2" },
		size: { type: "string", multiple: true, default: ["32000x256", "49152x576", "151936x1024"] },
		threads: { type: "string", default: String(availableParallelism()) },
	},
});

if (positionals[0] === "child") await ours(...positionals.slice(1));
else compare();

/** One process of ours: times the reconstruction from the file, products and left factor included; prints one JSON line. */
async function ours(path, rows, cols, runs) {
	const [{ truncatedSvd }, { factorError }, { blockRows }, { engineProducts }] = await Promise.all(
		["linalg/svd", "linalg/error", "linalg/rows", "runtime/products"].map((name) => import(`../../dist/src/${name}.js`)),
	);
	const source = fileRows(path, Number(rows), Number(cols));
	const seconds = [];
	let error = 0;
	for (let run = 0; run < Number(runs); run++) {
		const start = performance.now();
		const products = engineProducts({ threads: Number(options.threads) });
		const svd = await truncatedSvd(source, RANK, products);
		const left = new Float32Array(source.rows * RANK);
		for (let first = 0; first < source.rows; first += blockRows(source.cols)) {
			left.set(await svd.project(first, Math.min(source.rows, first + blockRows(source.cols))), first * RANK);
		}
		seconds.push((performance.now() - start) / 1000);
		const right = Float32Array.from(
			{ length: RANK * source.cols },
			(_, index) => svd.right[(index % source.cols) * RANK + Math.floor(index / source.cols)],
		);
		const factors = { rank: RANK, left: (from, to) => left.subarray(from * RANK, to * RANK), right };
		if (run === 0) error = (await factorError(source, factors, products)).relative;
		await products.close();
	}
	process.stdout.write(`${JSON.stringify({ seconds, error, peak: process.resourceUsage().maxRSS * 1024 })}\n`);
}

/** A RowSource on a file of float32 values. */
function fileRows(path, rows, cols) {
	const file = openSync(path, "r");
	let buffer = new Float32Array(0);
	return {
		rows,
		cols,
		read(start, end) {
			const count = (end - start) * cols;
			if (buffer.length < count) buffer = new Float32Array(count);
			readSync(file, buffer, 0, count * 4, start * cols * 4);
			return buffer.subarray(0, count);
		},
	};
}

function compare() {
	const directory = mkdtempSync(join(tmpdir(), "reconstruct-"));
	const numpy = spawnSync(PYTHON, ["-c", "import numpy"]).status === 0;
	if (!numpy) print(`no NumPy in ${PYTHON}: only our own times follow (set PYTHON to an interpreter that has it)`);
	try {
		for (const size of options.size) {
			const [rows, cols] = size.split("x").map(Number);
			const path = join(directory, "table.f32");
			writeTable(path, rows, cols);
			compareOn(path, rows, cols, numpy);
			rmSync(path);
		}
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}

/** Rounds in which the candidates take turns, so that a busy machine is busy for all of them. */
function compareOn(path, rows, cols, numpy) {
	const peer = (method, runs) => run(PYTHON, [join(dirname(SELF), "reconstruct_peer.py"), path, rows, cols, RANK, runs, method]);
	const results = { ours: [], closed: [], svd: [] };
	for (let round = 0; round < Number(options.rounds); round++) {
		results.ours.push(run(process.execPath, [SELF, "child", path, rows, cols, options.runs, "--threads", options.threads]));
		if (!numpy) continue;
		results.closed.push(peer("closed", options.runs));
		if (round === 0 && rows * cols <= LARGEST_SVD) results.svd.push(peer("svd", 1));
	}
	print(`${rows}×${cols}, rank ${RANK}, ${options.threads} threads`);
	const names = { ours: "ours, from the file", closed: "NumPy closed form, in memory", svd: "NumPy svd, in memory" };
	const [mine] = [summary(results.ours)];
	for (const [name, found] of Object.entries(results)) {
		if (found.length === 0) continue;
		const { least, median, error, peak } = summary(found);
		const ratio =
			name === "ours" ? "" : `   ours takes ${(mine.least / least).toFixed(2)}× (least), ${(mine.median / median).toFixed(2)}× (median)`;
		print(
			`  ${names[name].padEnd(30)} ${least.toFixed(3)} s least, ${median.toFixed(3)} s median, peak ${(peak / 2 ** 20).toFixed(0)} MiB, error ${error.toFixed(6)}${ratio}`,
		);
	}
}

function summary(found) {
	const seconds = found.flatMap((each) => each.seconds).sort((a, b) => a - b);
	return {
		least: seconds[0],
		median: seconds[seconds.length >> 1],
		error: found[0].error,
		peak: Math.max(...found.map((each) => each.peak)),
	};
}

function run(command, args) {
	const { status, stdout, stderr } = spawnSync(command, args.map(String), { encoding: "utf8", maxBuffer: 2 ** 24 });
	if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
	return JSON.parse(stdout);
}

/** A table like a trained one: a mean row, and columns mixed from directions of falling size. Repeatable. */
function writeTable(path, rows, cols) {
	const file = openSync(path, "w");
	let state = 1;
	const uniform = () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state / 2 ** 32 - 0.5;
	};
	const scales = Float32Array.from({ length: cols }, (_, column) => (1 + column) ** -0.4);
	const mean = Float32Array.from({ length: cols }, uniform);
	const block = new Float32Array(1024 * cols);
	for (let start = 0; start < rows; start += 1024) {
		const count = Math.min(1024, rows - start);
		for (let row = 0; row < count; row++) {
			const common = uniform();
			for (let column = 0; column < cols; column++) {
				// Neighbouring columns are mixed, so that the directions are not the axes.
				const fresh = uniform() * scales[column];
				const before = column === 0 ? 0 : block[row * cols + column - 1];
				block[row * cols + column] = 0.3 * mean[column] + fresh + 0.5 * before + 0.1 * common;
			}
		}
		writeSync(file, block, 0, count * cols * 4);
	}
	closeSync(file);
}

function print(line) {
	process.stdout.write(`${line}\n`);
}
