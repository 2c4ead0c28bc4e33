// Benchmark of one training step (forward, backward, clipping, AdamW) against PyTorch on the same batch, in turns.
// usage: [PYTHON=…] npm run bench:train -- [FOLDER …] [--install] [--rounds 12] [--steps 3] [--train factors,all] [--no-compile]
//
// A folder holds a GPT-2 (model.onnx) or the Marian translator (translation_model.onnx), with config.json or without; the small
// language model of the fixtures if none is given. Both sides read the same ids and the same teacher's logits and train the same
// number of parameters; the teacher's own forward pass is no part of the step and stands in a line of its own. PyTorch stands there
// twice: its fastest eager form, which is what its users have, and the fastest of all, torch.compile among them.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { Rows } from "../../src/runtime/decode/feeds.js";
import { tensorOf } from "../../src/runtime/numbers.js";
import type { EngineTensor } from "../../src/runtime/session.js";
import { openTraining } from "../../src/runtime/training/training.js";
import { openProgram, type Program } from "./train-program.js";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const RANK = 64;
const WAYS = ["eager", "fastest"] as const;
/**
 * PyTorch allocates and frees every large tensor anew; without these settings of the C library each costs page faults, which about
 * doubles its step. So the peer is measured at its best, not as it comes.
 */
const ALLOCATOR = { MALLOC_MMAP_THRESHOLD_: "4000000000", MALLOC_TRIM_THRESHOLD_: "16000000000", MALLOC_TOP_PAD_: "0" };

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		rounds: { type: "string", default: "12" },
		steps: { type: "string", default: "3" },
		train: { type: "string", default: "factors,all" },
		batch: { type: "string" },
		length: { type: "string" },
		threads: { type: "string", default: String(availableParallelism()) },
		install: { type: "boolean", default: false },
		"no-compile": { type: "boolean", default: false },
	},
});
const threads = Number(options.threads);
const folders = positionals.length > 0 ? positionals : [path.join(ROOT, "fixtures/sotu-lm")];
const python = options.install ? installed() : (process.env.PYTHON ?? "python3");
const hasTorch = spawnSync(python, ["-c", "import torch, numpy"]).status === 0;
if (!hasTorch) print(`no PyTorch in ${python}: only our own times follow (set PYTHON, or let --install make an environment)`);
for (const folder of folders) for (const train of options.train.split(",")) await compare(folder, train === "all" ? "all" : "factors");

/** A Python with PyTorch, made once, beside the build. */
function installed(): string {
	const environment = path.join(ROOT, "dist/bench-python");
	const interpreter = path.join(environment, "bin/python");
	if (!existsSync(interpreter)) {
		for (const [command, ...args] of [
			[process.env.PYTHON ?? "python3", "-m", "venv", environment],
			[interpreter, "-m", "pip", "install", "--quiet", "torch", "numpy"],
		]) {
			if (spawnSync(command as string, args, { stdio: "inherit" }).status !== 0) throw new Error(`${command} ${args.join(" ")} failed`);
		}
	}
	return interpreter;
}

async function compare(folder: string, train: "factors" | "all"): Promise<void> {
	const isTranslator = existsSync(path.join(folder, "translation_model.onnx"));
	const batch = Number(options.batch ?? (isTranslator ? 32 : 8));
	const length = Number(options.length ?? (isTranslator ? 24 : 128));
	const program = await openProgram(folder, { rank: RANK, train, batch, length, threads });
	const work = mkdtempSync(path.join(tmpdir(), "train-"));
	let peer: Peer | undefined;
	try {
		const teach = () => program.teacher.teach({ tokens: program.tokens, source: program.pairs });
		const logits = await teach();
		const feeds = program.feeds(logits);
		if (hasTorch) peer = await startPeer(work, program, logits, train);
		const training = await openTraining(program, { threads });
		const count = program.parameters.reduce((sum, { initial }) => sum + initial.length, 0);
		const about = `[${batch}, ${length}], V = ${logits.dims.at(-1)}, rank ${RANK}, trained: ${train} (${count} parameters)`;
		print(`${path.basename(folder)}, ${about}, ${threads} threads, load ${loadavg()[0]?.toFixed(1)}`);
		if (peer !== undefined) {
			if (peer.about.parameters !== count) throw new Error(`PyTorch trains ${peer.about.parameters} parameters`);
			print(`  PyTorch ${peer.about.version}; eager: ${peer.about.eager}; fastest: ${peer.about.fastest}`);
			print(`  tried, in ms: ${JSON.stringify(peer.about.tried)}`);
		}
		const step = { ours: [] as Time[], eager: [] as Time[], fastest: [] as Time[] };
		const forward = { ours: [] as Time[], eager: [] as Time[] };
		const ways = peer?.about.eager === peer?.about.fastest ? (["eager"] as const) : WAYS;
		await timed(() => training.step(feeds, 1e-4), 3);
		await timed(teach, 2);
		for (let round = 0; round < Number(options.rounds); round++) {
			step.ours.push(...(await timed(() => training.step(feeds, 1e-4), Number(options.steps))));
			for (const way of ways) if (peer !== undefined) step[way].push(...(await peer.time(way, Number(options.steps))));
			forward.ours.push(...(await timed(teach, 1)));
			if (peer !== undefined) forward.eager.push(...(await peer.time("forward", 1)));
		}
		line("training step", step);
		line("teacher's forward pass", forward);
		await training.close();
	} finally {
		peer?.stop();
		await program.close();
		rmSync(work, { recursive: true, force: true });
	}
}

/** Milliseconds of one run: elapsed, and of all cores together. The second hardly changes when other work keeps the cores busy. */
type Time = readonly [elapsed: number, cores: number];

async function timed(work: () => Promise<unknown>, count: number): Promise<Time[]> {
	const times: Time[] = [];
	for (let at = 0; at < count; at++) {
		const [start, before] = [performance.now(), process.cpuUsage()];
		await work();
		const { user, system } = process.cpuUsage(before);
		times.push([performance.now() - start, (user + system) / 1000]);
	}
	return times;
}

interface Peer {
	readonly about: {
		readonly version: string;
		readonly eager: string;
		readonly fastest: string;
		readonly tried: unknown;
		readonly parameters: number;
	};
	readonly time: (what: "eager" | "fastest" | "forward", count: number) => Promise<Time[]>;
	readonly stop: () => void;
}

async function startPeer(work: string, program: Program, logits: EngineTensor, train: string): Promise<Peer> {
	const { kind, sizes, tokens, pairs } = program;
	const store = ({ data, dtype, dims }: EngineTensor, name: string) => {
		const file = path.join(work, name);
		if (!ArrayBuffer.isView(data)) throw new Error("no numbers");
		writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
		return { file, dtype, dims };
	};
	const idsOf = ({ batch, length, ids }: Rows) => tensorOf("int64", [batch, length], (index) => ids[index] ?? 0);
	const translated = pairs === undefined ? [] : [idsOf(pairs), tensorOf("int64", [pairs.batch, pairs.length], () => 1)];
	const about = path.join(work, "about.json");
	const inputs = [idsOf(tokens), ...translated].map((tensor, index) => store(tensor, `input-${index}`));
	const compile = !options["no-compile"];
	const description = { threads, kind, sizes, rank: RANK, train, compile, inputs, teacher: store(logits, "teacher") };
	writeFileSync(about, JSON.stringify(description));
	const script = path.join(ROOT, "test/bench/train_peer.py");
	const child: ChildProcessWithoutNullStreams = spawn(python, [script, about], {
		stdio: ["pipe", "pipe", "pipe"],
		env: { ...process.env, ...ALLOCATOR },
	});
	let said = "";
	child.stderr.on("data", (text) => {
		said += String(text);
	});
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const read = async () => {
		const { value, done } = await lines.next();
		if (done === true) throw new Error(`the peer ended: ${said}`);
		return JSON.parse(value as string) as unknown;
	};
	const stop = () => child.kill();
	return {
		about: (await read()) as Peer["about"],
		time: async (what, count) => {
			child.stdin.write(`${JSON.stringify([what, count])}\n`);
			return (await read()) as Time[];
		},
		stop,
	};
}

interface Times {
	readonly ours: readonly Time[];
	readonly eager: readonly Time[];
	readonly fastest?: readonly Time[];
}

function line(name: string, { ours, ...theirs }: Times): void {
	for (const [index, kind] of ["elapsed", "of all cores"].entries()) {
		const own = summary(ours, index);
		const peers = Object.entries(theirs).flatMap(([way, times]) => {
			const found = summary(times, index);
			return found === undefined || own === undefined
				? []
				: [`   PyTorch ${way} ${found.text}, ratio ${(own.median / found.median).toFixed(2)}`];
		});
		print(`  ${`${name}, ${kind}`.padEnd(40)} ours ${own?.text}${peers.join("")}`);
	}
}

function summary(times: readonly Time[], index: number): { readonly median: number; readonly text: string } | undefined {
	const sorted = times.map((time) => time[index] ?? 0).toSorted((one, other) => one - other);
	const [median, least] = [sorted[sorted.length >> 1], sorted[0]];
	if (median === undefined || least === undefined) return undefined;
	return { median, text: `${median.toFixed(1)} ms (least ${least.toFixed(1)})` };
}

function print(text: string): void {
	process.stdout.write(`${text}\n`);
}
