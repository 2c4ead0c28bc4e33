// Benchmark of the reconstruction: ours against the same closed form, and the SVD, in NumPy; each in processes of its own, in turn.
// usage: [PYTHON=…] node test/bench/reconstruct.mjs [--rounds 3] [--runs 3] [--size 32000x256 …]     (after npm run build)
//
// Three comparisons, ours over NumPy's, least time and median of the rounds:
//   from the file    one run in a fresh process; both read the table from the file within the measured time
//   warm             the runs after the first in one process; NumPy has the table in memory, ours reads it from the file
//   whole process    from start to exit of the processes of the first comparison: interpreter, modules, engine, everything
import { spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeTable } from "./tables.mjs";

const SELF = fileURLToPath(import.meta.url);
const PYTHON = process.env.PYTHON ?? "python3";
const RANK = 64;
/** Beyond this NumPy's SVD takes minutes. */
const LARGEST_SVD = 49_152 * 576;

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		rounds: { type: "string", default: "3" },
		runs: { type: "string", default: "3" },
		size: { type: "string", multiple: true, default: ["32000x256", "49152x576", "151936x1024"] },
		threads: { type: "string", default: String(availableParallelism()) },
	},
});

if (positionals[0] === "child") await ours(...positionals.slice(1));
else compare();

/** One process of ours: times the reconstruction from the file, engine and left factor included; prints one JSON line. */
async function ours(path, rows, cols, runs, withError) {
	const [{ truncatedSvd }, { blockRows }, { engineProducts }] = await Promise.all(
		["linalg/svd", "linalg/rows", "runtime/products"].map((name) => import(`../../dist/src/${name}.js`)),
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
		if (run === 0 && withError === "error") {
			const { factorError } = await import("../../dist/src/linalg/error.js");
			const right = Float32Array.from(
				{ length: RANK * source.cols },
				(_, index) => svd.right[(index % source.cols) * RANK + Math.floor(index / source.cols)],
			);
			const factors = { rank: RANK, left: (from, to) => left.subarray(from * RANK, to * RANK), right };
			error = (await factorError(source, factors, products)).relative;
		}
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
	const mine = (runs, ...more) => run(process.execPath, [SELF, "child", path, rows, cols, runs, ...more, "--threads", options.threads]);
	const peer = (method, runs) => run(PYTHON, [join(dirname(SELF), "reconstruct_peer.py"), path, rows, cols, RANK, runs, method]);
	const results = { ours: [], warm: [], file: [], closed: [], svd: [] };
	for (let round = 0; round < Number(options.rounds); round++) {
		results.ours.push(mine(1));
		if (numpy) results.file.push(peer("file", 1));
		results.warm.push(mine(options.runs, "error"));
		if (numpy) results.closed.push(peer("closed", options.runs));
		if (numpy && round === 0 && rows * cols <= LARGEST_SVD) results.svd.push(peer("svd", 1));
	}
	print(`${rows}×${cols}, rank ${RANK}, ${options.threads} threads, load ${loadavg()[0].toFixed(1)}`);
	const { warm, ours: cold } = results;
	line("from the file", timesOf(cold), timesOf(results.file));
	line("warm", warmTimesOf(warm), warmTimesOf(results.closed));
	line("whole process", wholeOf(cold), wholeOf(results.file));
	line("against np.linalg.svd in memory", timesOf(cold), timesOf(results.svd));
	const about = (name, found) => (found.length === 0 ? "" : `   ${name}: error ${found[0].error.toFixed(6)}, peak ${mebibytes(found)}`);
	print(`${about("ours", warm)}${about("NumPy", results.closed)}`);
}

function timesOf(found) {
	return found.flatMap(({ seconds }) => seconds);
}

function warmTimesOf(found) {
	return found.flatMap(({ seconds }) => (seconds.length > 1 ? seconds.slice(1) : seconds));
}

function wholeOf(found) {
	return found.map(({ whole }) => whole);
}

function mebibytes(found) {
	return `${(Math.max(...found.map(({ peak }) => peak)) / 2 ** 20).toFixed(0)} MiB`;
}

function line(name, mine, theirs) {
	if (mine.length === 0) return;
	const [a, b] = [mine, theirs].map((times) => times.toSorted((one, other) => one - other));
	const median = (times) => times[times.length >> 1];
	const text = (times) => `${times[0].toFixed(3)} s least, ${median(times).toFixed(3)} s median`;
	const ratios = b.length === 0 ? "" : `   NumPy ${text(b)}   ratio ${(a[0] / b[0]).toFixed(2)}, ${(median(a) / median(b)).toFixed(2)}`;
	print(`  ${name.padEnd(32)} ours ${text(a)}${ratios}`);
}

function run(command, args) {
	const start = performance.now();
	// Where this variable is set, Node.js reads certificates at every start, which takes longer than all else it does then.
	const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
	const { status, stdout, stderr } = spawnSync(command, args.map(String), { encoding: "utf8", maxBuffer: 2 ** 24, env });
	const whole = (performance.now() - start) / 1000;
	if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
	return { ...JSON.parse(stdout), whole };
}

function print(text) {
	process.stdout.write(`${text}\n`);
}
