// Benchmark of conversions of models of several gigabytes: the command line, from file to verified file, against the same closed form in NumPy.
// usage: [PYTHON=…] node test/bench/big.mjs [--case external …] [--no-numpy] [--folder DIR] [-- options of onnx-distemb]     (after npm run build)
//
// The folder needs 16 GB of free disk. The bound is on the memory that the process must be given: 1.0 × the table's stored bytes and 600 MB.
// Two figures: the most resident memory, in which mapped pages of the model's file count, and the most anonymous memory. Mapped pages that
// were only read are the system's file cache; it takes them back whenever it needs memory.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeBigModel } from "./big-model.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.PYTHON ?? "python3";
const RANK = 64;
const ALLOWANCE = 600e6;

const CASES = {
	external: { rows: 262_144, cols: 2560, dtype: "float32", layers: 16, inner: 10_240, external: true },
	single: { rows: 131_072, cols: 2560, dtype: "float32", layers: 4, inner: 6_912, external: false },
	beyond: { rows: 131_072, cols: 1024, dtype: "float32", layers: 21, inner: 25_600, external: true },
	float16: { rows: 151_936, cols: 1024, dtype: "float16", layers: 4, inner: 10_240, external: true },
	bfloat16: { rows: 151_936, cols: 1024, dtype: "bfloat16", layers: 4, inner: 10_240, external: true },
	tall: { rows: 151_936, cols: 1024, dtype: "float32", layers: 0, inner: 0, external: false },
};

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	allowNegative: true,
	options: {
		case: { type: "string", multiple: true, default: ["external", "single", "beyond", "float16", "bfloat16"] },
		folder: { type: "string", default: tmpdir() },
		numpy: { type: "boolean", default: true },
		threads: { type: "string", default: String(availableParallelism()) },
	},
});
const given = positionals.length > 0 ? positionals : ["--rank", String(RANK), "--method", "svd"];

print(`${cpus()[0]?.model}, ${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}; ${given.join(" ")}`);
print(
	"| case | file | table at | table | whole | anonymous memory (bound) | resident | NumPy | whole / NumPy |",
	"|---|---|---|---|---|---|---|---|---|",
);
for (const name of options.case) {
	if (CASES[name] === undefined) throw new Error(`no case "${name}"; there are ${Object.keys(CASES).join(", ")}`);
	const folder = mkdtempSync(join(options.folder, "distemb-big-"));
	try {
		await measure(name, folder);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

async function measure(name, folder) {
	const shape = CASES[name];
	const written = writeBigModel(folder, shape);
	const load = loadavg()[0];
	const found = await converted(written.model, join(folder, "small", "model.onnx"));
	const numpy = options.numpy ? closedForm(written, shape) : undefined;
	const bound = written.tableBytes + ALLOWANCE;
	const over = found.anonymous > bound;
	if (over) process.exitCode = 1;
	const cells = [
		name,
		gigabytes(written.bytes),
		gigabytes(written.offset),
		`${shape.rows} × ${shape.cols} ${shape.dtype}, ${gigabytes(written.tableBytes)}`,
		`${found.seconds.toFixed(1)} s`,
		`${gigabytes(found.anonymous)} (${gigabytes(bound)}${over ? "; EXCEEDED" : ""})`,
		gigabytes(found.resident),
		numpy === undefined ? "" : `${numpy.seconds.toFixed(1)} s, ${gigabytes(numpy.peak)}`,
		numpy === undefined ? "" : (found.seconds / numpy.seconds).toFixed(2),
	];
	print(`| ${cells.join(" | ")} |`);
	print(`<!-- ${name}: load ${load.toFixed(1)}; ${found.passes} -->`);
	for (const line of found.lines) print(`<!-- ${line} -->`);
}

/** Runs the command line in a process of its own, and looks at its memory every few milliseconds. */
async function converted(model, out) {
	mkdirSync(dirname(out));
	const args = [join(HERE, "../../dist/src/cli.js"), model, out, ...given, "--quiet", "--threads", options.threads, "--json", "-"];
	const start = performance.now();
	const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
	const texts = { stdout: "", stderr: "" };
	for (const stream of ["stdout", "stderr"]) child[stream].setEncoding("utf8").on("data", (text) => (texts[stream] += text));
	const most = { anonymous: 0, resident: 0 };
	const sampler = setInterval(() => {
		const status = statusOf(child.pid);
		most.anonymous = Math.max(most.anonymous, bytesOf(status, "RssAnon"));
		most.resident = Math.max(most.resident, bytesOf(status, "VmHWM"));
	}, 5);
	const code = await new Promise((resolve) => child.on("close", resolve));
	clearInterval(sampler);
	const seconds = (performance.now() - start) / 1000;
	if (code !== 0) throw new Error(`${model}: exit code ${code}: ${texts.stderr}`);
	const report = JSON.parse(texts.stdout);
	const passes = report.passes.map(({ name, milliseconds }) => `${name} ${(milliseconds / 1000).toFixed(1)} s`).join(", ");
	const lines = report.passes.filter(({ name }) => name === "verify").flatMap(({ log }) => log);
	return { seconds, ...most, passes, lines };
}

function statusOf(pid) {
	try {
		return readFileSync(`/proc/${pid}/status`, "utf8");
	} catch {
		return "";
	}
}

function bytesOf(status, key) {
	return 1024 * Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0);
}

/** Gram matrix, eigh, projection in NumPy, from the file. */
function closedForm({ holder, offset }, { rows, cols, dtype }) {
	const args = [join(HERE, "reconstruct_peer.py"), holder, rows, cols, RANK, 1, "file", dtype, offset].map(String);
	const { status, stdout, stderr } = spawnSync(PYTHON, args, { encoding: "utf8" });
	if (status !== 0) throw new Error(stderr);
	const { seconds, peak } = JSON.parse(stdout);
	return { seconds: seconds[0], peak };
}

function gigabytes(bytes) {
	return `${(bytes / 1e9).toFixed(2)} GB`;
}

function print(...lines) {
	process.stdout.write(`${lines.join("\n")}\n`);
}
