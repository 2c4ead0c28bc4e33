// Runs one case in this process and says whether the tool kept its promises: errors, files, memory.
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DistembError } from "../../src/errors.js";
import { act, type Folders } from "./act.js";
import type { FuzzCase, Verdict } from "./case.js";
import { type Access, isWithin } from "./guard.js";

/** Bytes that a case may take beyond its files. */
const ROOM = 300 * 2 ** 20;

/** Codes that say something about input or options; `internal` is a defect of ours. */
const CODES: ReadonlySet<string> = new Set(["usage", "input", "refused", "nothing-to-do", "gate", "output", "engine"]);

/** A process that judges: the folders that a case may touch, and what it touched. */
export class Judge {
	readonly folders: Folders;
	readonly #canary: string;
	#forbidden: string | undefined;
	#stray: unknown;

	/** @param root an empty folder for cases; `trained` holds what checkpoints belong to */
	constructor(root: string, trained: string) {
		this.folders = { input: path.join(root, "in"), output: path.join(root, "out"), trained };
		this.#canary = path.join(root, "secret.bin");
		writeFileSync(this.#canary, "nobody may read this".repeat(400));
	}

	/** Every access of this process while a case runs; see guard.ts. */
	note({ path: file, writes }: Access): void {
		if (!this.#isActing) return;
		const { input, output, trained } = this.folders;
		const isProgram = file.includes("node_modules") || isWithin(file, path.resolve(import.meta.dirname, "../.."));
		const isOurs = isWithin(file, output) || (!writes && (isWithin(file, input) || isWithin(file, trained) || isProgram));
		// A checkpoint that was gone on from is removed when the training is finished.
		const isCheckpoint = writes && this.#removesInput && isWithin(file, input);
		// The lock on an output knows its owner by the time at which that process began.
		const isProcess = !writes && /^\/proc\/\d+\/stat$/.test(file);
		if (!isOurs && !isCheckpoint && !isProcess) this.#forbidden ??= `${writes ? "writes" : "reads"} ${file}`;
	}

	#isActing = false;
	#removesInput = false;

	/** A rejection or exception that nobody caught. */
	noteStray(error: unknown): void {
		this.#stray ??= error;
	}

	async judge(test: FuzzCase): Promise<Verdict> {
		const before = this.#prepare(test);
		const size = [...test.files.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);
		const start = process.cpuUsage();
		const memory = new PeakMemory();
		let error: unknown;
		this.#isActing = true;
		try {
			await act(test, this.folders);
		} catch (caught) {
			error = caught;
		}
		// A rejection that nobody handles is told of after the microtasks.
		await new Promise(setImmediate);
		this.#isActing = false;
		const peak = memory.grown();
		const { user, system } = process.cpuUsage(start);
		const problem =
			this.#problem(error) ??
			(this.#removesInput ? undefined : this.#changed(before)) ??
			(peak > size + ROOM ? `takes ${megabytes(peak)} for files of ${megabytes(size)}` : undefined);
		if (problem !== undefined) return { outcome: "failure", reason: problem, stack: error instanceof Error ? error.stack : undefined };
		const code = error instanceof DistembError ? error.code : "success";
		return { outcome: error === undefined ? "success" : "error", code, peak, seconds: (user + system) / 1e6 };
	}

	#prepare(test: FuzzCase): ReadonlyMap<string, string> {
		const { input, output } = this.folders;
		mkdirSync(path.join(input, "folder"), { recursive: true });
		mkdirSync(output, { recursive: true });
		// Making and removing folders takes longer than most cases: these stay.
		for (const folder of [input, output]) {
			for (const name of readdirSync(folder)) if (name !== "folder") rmSync(path.join(folder, name), { recursive: true });
		}
		rmSync(path.join(output, "folder"), { recursive: true, force: true });
		for (const [name, bytes] of test.files) writeFileSync(path.join(input, name), bytes);
		for (const [name, target] of test.links ?? []) if (!test.files.has(name)) symlinkSync(target, path.join(input, name));
		// Older than its contents: whoever reads it, the engine included, makes the time of the last access newer (relatime).
		utimesSync(this.#canary, new Date(0), new Date(1000));
		this.#forbidden = undefined;
		this.#stray = undefined;
		this.#removesInput = test.action === "resume";
		return snapshot(input);
	}

	#problem(error: unknown): string | undefined {
		if (this.#stray !== undefined) return `leaves an error that nobody catches: ${String(this.#stray)}`;
		if (this.#forbidden !== undefined) return this.#forbidden;
		if (lstatSync(this.#canary).atimeMs > 0) return "reads a file outside the model's folder";
		if (error === undefined) return undefined;
		if (!(error instanceof DistembError)) return `throws ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
		if (!CODES.has(error.code)) return `ends in an error of its own, ${error.code}: ${error.toLine()}`;
		if (error.message.trim() === "" || /[\n\r]/.test(error.toLine())) return `says nothing, or more than a line: ${error.toLine()}`;
		return undefined;
	}

	#changed(before: ReadonlyMap<string, string>): string | undefined {
		const after = snapshot(this.folders.input);
		const names = new Set([...before.keys(), ...after.keys()]);
		for (const name of names) if (before.get(name) !== after.get(name)) return `changes the input: ${name}`;
		return undefined;
	}
}

/** What stands in a folder: sizes and times by name. */
function snapshot(folder: string): Map<string, string> {
	const names = readdirSync(folder);
	return new Map(
		names.map((name) => {
			const { size, mtimeMs, ino } = lstatSync(path.join(folder, name));
			return [name, `${size} ${mtimeMs} ${ino}`];
		}),
	);
}

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;

/** How much memory this process has taken at its peak, since now. Linux counts it; elsewhere the end counts. */
class PeakMemory {
	readonly #before: number;
	readonly #isLinux = existsSync("/proc/self/clear_refs");

	constructor() {
		// 5 sets the peak back to what is taken now.
		if (this.#isLinux) writeFileSync("/proc/self/clear_refs", "5");
		this.#before = process.memoryUsage.rss();
	}

	grown(): number {
		const kilobytes = this.#isLinux ? /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] : undefined;
		return (kilobytes === undefined ? process.memoryUsage.rss() : Number(kilobytes) * 1024) - this.#before;
	}
}
