// What the tests of faults share: the built program in child processes, small models, file systems that are full or read-only, hashes.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseModel } from "../../src/ir/parse.js";
import { encodeModel, joined } from "../../src/onnx/encode.js";

/** The package's folder, from test/faults and from dist/test/faults. */
export const ROOT = path.resolve(import.meta.dirname.replace(/dist.test.faults$/, "test/faults"), "../..");
export const CLI = path.join(ROOT, "dist/src/cli.js");

export interface Ended {
	readonly status: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly stdout: string;
	readonly stderr: string;
	/** Last line on stderr. */
	readonly last: string;
}

export interface Started {
	readonly child: ChildProcess;
	readonly ended: Promise<Ended>;
	/** Waits until stderr matches; false if the program ends without. */
	readonly says: (pattern: RegExp) => Promise<boolean>;
}

export interface StartOptions {
	readonly cwd?: string;
	/** Added to this process' own. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Arguments of Node.js itself. */
	readonly node?: readonly string[];
	readonly program?: string;
	/** A command line that runs what is appended to it: limits, another user. */
	readonly through?: readonly string[];
}

/** Starts the command line, or another program, in a process of its own. */
export function start(args: readonly string[], options: StartOptions = {}): Started {
	const [command = "", ...rest] = [...(options.through ?? []), process.execPath, ...(options.node ?? []), options.program ?? CLI, ...args];
	const child = spawn(command, rest, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ["ignore", "pipe", "pipe"] });
	let stdout = "";
	let stderr = "";
	let onText = () => {};
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
		onText();
	});
	const ended = new Promise<Ended>((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (status, signal) => resolve({ status, signal, stdout, stderr, last: stderr.trim().split("\n").at(-1) ?? "" }));
	});
	const says = (pattern: RegExp) =>
		new Promise<boolean>((resolve) => {
			onText = () => {
				if (pattern.test(stderr)) resolve(true);
			};
			onText();
			void ended.then(() => resolve(pattern.test(stderr)));
		});
	return { child, ended, says };
}

export const run = (args: readonly string[], options: StartOptions = {}): Promise<Ended> => start(args, options).ended;

/** SHA-256 of a file, or of every file below a folder by name; hidden ones too. */
export function contentOf(at: string): Readonly<Record<string, string>> {
	const names = statSync(at).isDirectory() ? (readdirSync(at, { recursive: true }) as string[]).sort() : [""];
	const files = names.filter((name) => statSync(path.join(at, name)).isFile());
	return Object.fromEntries(
		files.map((name) => [
			name,
			createHash("sha256")
				.update(readFileSync(path.join(at, name)))
				.digest("hex"),
		]),
	);
}

export interface FileSystem {
	readonly folder: string;
	readonly makeReadOnly: () => void;
	readonly unmount: () => void;
}

/**
 * A file system of its own in `folder`, in memory.
 * @returns undefined where this user may not mount one
 */
export function mountSmall(folder: string, size: string): FileSystem | undefined {
	mkdirSync(folder, { recursive: true });
	const mount = (...args: string[]) => spawnSync("mount", args).status === 0;
	if (!mount("-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder)) return undefined;
	return {
		folder,
		makeReadOnly: () => {
			if (!mount("-o", "remount,ro", folder)) throw new Error("cannot be made read-only");
		},
		unmount: () => void spawnSync("umount", ["-l", folder]),
	};
}

/** A small language model: ids → rows → a layer → scores, with 200 words of 16 numbers. */
export const LANGUAGE_MODEL = `
	model ir 8, opset ai.onnx 17
	graph main(input_ids: int64[batch, length])
		table = float32[200, 16]
		inner = float32[16, 16]
		head = float32[16, 200]
		rows = Gather(table, input_ids) "embed"
		mixed = MatMul(rows, inner)
		bent = Tanh(mixed)
		hidden = Add(bent, rows)
		logits = MatMul(hidden, head) "lm_head"
		return logits: float32[batch, length, 200]
	`;

/** Writes the model in `text`; tensors placed `external` go to their data file, one behind the other. */
export function writeModel(file: string, text: string): string {
	const model = parseModel(text, { seed: 1 });
	mkdirSync(path.dirname(file), { recursive: true });
	const files = new Map<string, Uint8Array[]>();
	const encoded = encodeModel(model, {
		place: ({ placement, data }) => {
			if (placement.kind !== "external" || data === undefined) return undefined;
			const parts = files.get(placement.location) ?? [];
			files.set(placement.location, parts);
			const offset = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
			parts.push(data.read(0, data.byteLength));
			return { location: placement.location, offset };
		},
	});
	for (const [location, parts] of files) writeFileSync(path.join(path.dirname(file), location), Buffer.concat(parts));
	writeFileSync(file, joined(encoded));
	return file;
}

/** Ids for {@link LANGUAGE_MODEL}, a document a line; each word is followed by one of four. */
export function writeIds(file: string, documents = 60, length = 60): string {
	let state = 7;
	const next = (count: number) => {
		state = (state * 48_271) % 2_147_483_647;
		return state % count;
	};
	const lines = Array.from({ length: documents }, () => {
		let word = next(200);
		return JSON.stringify(Array.from({ length }, () => (word = (word * 3 + next(4)) % 200)));
	});
	writeFileSync(file, `${lines.join("\n")}\n`);
	return file;
}
