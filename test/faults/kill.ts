// Kills the program at random moments, and says in which of them something was wrong afterwards: with the input, the output, or the next run.
// usage: npm run test:kill -- [--times 200] [--what conversion,training,folder] [--seed 1]
//
// Each run goes on with whatever the killed one before it left. It must find its input unchanged; its output must be absent, or whole and
// equal to the byte to that of a run that was left alone (a replaced one may also be the old one). A training goes on with --resume
// wherever there is a checkpoint; half of the kills come shortly after an interruption, while the checkpoint is being written.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { MAKING_MILLISECONDS } from "../../src/onnx/claim.js";
import { contentOf, LANGUAGE_MODEL, start, writeIds, writeModel } from "./support.js";

export const KINDS = ["conversion", "training", "folder"] as const;
export type Kind = (typeof KINDS)[number];

export interface Outcome {
	/** Runs that were killed. */
	readonly kills: number;
	/** Runs that had ended before. */
	readonly completed: number;
	/** Kills by the pass that was under way. */
	readonly during: Readonly<Record<string, number>>;
	/** Trainings that went on from a checkpoint. */
	readonly resumed: number;
	readonly problems: readonly string[];
}

/** A kill comes at most so long after an interruption: as a rule about when its checkpoint is written. */
const INTERRUPTION_MILLISECONDS = 500;

interface Setting {
	readonly input: string;
	/** Name in the folder that runs work in. */
	readonly output: string;
	readonly options: readonly string[];
	/** What stands at the output before, and may stand there after a kill. */
	readonly replaced?: string;
	/** The pass from whose first line on the kills come; without it, from the first line of all. */
	readonly from?: RegExp;
	/** Half of the kills come before this is said. */
	readonly until?: RegExp;
	readonly program?: string | undefined;
}

/** Tables of 2 MB in a data file that two models share, beside files that are no models: about as long to write as to convert. */
const SHARED = LANGUAGE_MODEL.replaceAll("200", "16000").replace(
	"table = float32[16000, 16]",
	'table = float32[16000, 16] external "shared.bin"',
);

function settingOf(kind: Kind, work: string): Setting {
	const model = writeModel(path.join(work, "in/model.onnx"), kind === "folder" ? SHARED : LANGUAGE_MODEL);
	const svd = ["--rank", "4", "--method", "svd", "--threads", "1"];
	if (kind === "conversion") return { input: model, output: "small.onnx", options: svd };
	if (kind === "training") {
		const ids = writeIds(path.join(work, "in/ids.jsonl"));
		const options = ["--rank", "4", "--steps", "60", "--batch", "2", "--length", "16", "--threads", "1", "--seed", "3", "--data", ids];
		return { input: model, output: "small.onnx", options, from: /^distill/m };
	}
	const input = path.dirname(model);
	cpSync(model, path.join(input, "second.onnx"));
	writeFileSync(path.join(input, "notes.txt"), "x".repeat(1 << 20));
	const replaced = path.join(work, "replaced");
	mkdirSync(replaced);
	writeFileSync(path.join(replaced, "old.txt"), "what stood there before");
	return { input, output: "small", options: [...svd, "--overwrite"], replaced, from: /^write/m, until: /^verify/m };
}

/**
 * Kills runs of `kind` until `times` were killed.
 * @param random gives numbers in [0, 1)
 * @param program what is run instead of the command line, with the same arguments
 */
export async function killAtRandom(kind: Kind, times: number, random: () => number, program?: string): Promise<Outcome> {
	const work = mkdtempSync(path.join(tmpdir(), "distemb-kill-"));
	try {
		return await new Harness(work, { ...settingOf(kind, work), program }, random).kill(times);
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

/** Milliseconds from the first moment for a kill to {@link Setting.until}, and to the end. */
interface Times {
	readonly first: number;
	readonly all: number;
}

class Harness {
	readonly #runs: string;
	readonly #output: string;
	readonly #input: string;
	readonly #problems: string[] = [];
	readonly #during: Record<string, number> = {};
	#resumed = 0;
	#completed = 0;

	constructor(
		work: string,
		private readonly setting: Setting,
		private readonly random: () => number,
	) {
		this.#runs = path.join(work, "runs");
		mkdirSync(this.#runs);
		this.#output = path.join(this.#runs, setting.output);
		this.#input = stateOf(setting.input);
	}

	async kill(count: number): Promise<Outcome> {
		const { whole, ...times } = await this.#undisturbed();
		for (let kills = 0; kills < count; ) {
			if (await this.#one(times, whole)) kills++;
			else this.#completed++;
		}
		await this.#last(whole);
		return { kills: count, completed: this.#completed, during: this.#during, resumed: this.#resumed, problems: this.#problems };
	}

	/** The output of a run that is left alone, and how long it takes from the moment on from which the others are killed. */
	async #undisturbed(): Promise<Times & { readonly whole: string }> {
		this.#reset();
		const { ended, says } = this.#start();
		await says(this.setting.from ?? /./);
		const begun = performance.now();
		if (this.setting.until !== undefined) await says(this.setting.until);
		const first = performance.now() - begun;
		const { status, stderr } = await ended;
		if (status !== 0) throw new Error(stderr);
		const all = performance.now() - begun;
		const whole = stateOf(this.#output);
		this.#reset();
		return { whole, all, first: this.setting.until === undefined ? all : first };
	}

	#start() {
		const checkpoint = `${this.#output}.checkpoint`;
		const isResumed = existsSync(path.join(checkpoint, "checkpoint.safetensors"));
		if (isResumed) this.#resumed++;
		const { input, output, options, program } = this.setting;
		const args = [input, output, ...options, ...(isResumed ? ["--resume", checkpoint] : [])];
		return start(args, { cwd: this.#runs, ...(program !== undefined && { program }) });
	}

	/** @returns whether it could be killed before it ended */
	async #one({ all, first }: Times, whole: string): Promise<boolean> {
		const { child, ended, says } = this.#start();
		await says(this.setting.from ?? /./);
		const isGentle = this.setting.from?.source.includes("distill") === true && this.random() < 0.5;
		await pause(this.random() * (this.random() < 0.5 ? first : all));
		if (isGentle) {
			child.kill("SIGINT");
			await pause(this.random() * INTERRUPTION_MILLISECONDS);
		}
		child.kill("SIGKILL");
		const { status, signal, stderr, last } = await ended;
		// An interruption that comes when the work is done, or not begun, ends the process like a kill.
		const isKilled = signal !== null;
		const pass = /^[a-z]+/.exec(last)?.[0] ?? "start";
		if (isKilled) this.#during[pass] = (this.#during[pass] ?? 0) + 1;
		else if (status !== 0 && status !== 130) this.#problems.push(`a run over leftovers ended with ${status}: ${stderr}`);
		this.#judge(isKilled ? `killed during ${pass}` : `ended with ${status}`, whole);
		return isKilled;
	}

	#judge(when: string, whole: string): void {
		if (stateOf(this.setting.input) !== this.#input) this.#problems.push(`${when}: the input has changed`);
		const found = stateOf(this.#output);
		const old = this.setting.replaced === undefined ? "nothing" : stateOf(this.setting.replaced);
		if (found !== whole && found !== old && found !== "nothing")
			this.#problems.push(`${when}: the output is neither absent nor whole: ${found}`);
		if (found === whole) this.#reset();
	}

	/** A last run, which is not killed, clears up everything; what might be the beginning of another run, only after a while. */
	async #last(whole: string): Promise<void> {
		const unowned = readdirSync(this.#runs).some(
			(name) => name.includes(".partial") && !existsSync(path.join(this.#runs, name, "owner.json")),
		);
		if (unowned) await pause(MAKING_MILLISECONDS);
		const { status, stderr } = await this.#start().ended;
		if (status !== 0) this.#problems.push(`the last run ended with ${status}: ${stderr}`);
		if (stateOf(this.#output) !== whole) this.#problems.push("the last run's output is another than that of a run that was left alone");
		const others = readdirSync(this.#runs).filter((name) => name !== this.setting.output && !name.endsWith(".distemb-cache"));
		if (others.length > 0) this.#problems.push(`left over: ${others.join(", ")}`);
		const cache = `${this.#output}.distemb-cache`;
		const partial = existsSync(cache) ? readdirSync(cache).filter((name) => name.endsWith(".partial")) : [];
		if (partial.length > 0) this.#problems.push(`left over in the cache: ${partial.join(", ")}`);
	}

	#reset(): void {
		rmSync(this.#output, { recursive: true, force: true });
		if (this.setting.replaced !== undefined) cpSync(this.setting.replaced, this.#output, { recursive: true });
	}
}

/** Contents by name, as text. */
function stateOf(at: string): string {
	if (!existsSync(at)) return "nothing";
	return JSON.stringify(contentOf(at));
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Repeatable numbers in [0, 1), by Park and Miller. */
export function randomFrom(seed: number): () => number {
	let state = (seed % 2_147_483_646) + 1;
	return () => {
		state = (state * 48_271) % 2_147_483_647;
		return state / 2_147_483_647;
	};
}

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			times: { type: "string", default: "200" },
			what: { type: "string", default: KINDS.join(",") },
			seed: { type: "string", default: "1" },
		},
	});
	for (const kind of KINDS.filter((one) => values.what.split(",").includes(one))) {
		const { kills, completed, during, resumed, problems } = await killAtRandom(kind, Number(values.times), randomFrom(Number(values.seed)));
		const passes = Object.entries(during).map(([pass, count]) => `${pass} ${count}`);
		process.stdout.write(
			`${kind}: ${kills} kills (${passes.join(", ")}), ${completed} runs ended before, ${resumed} went on from a checkpoint; `,
		);
		process.stdout.write(`${problems.length} problems\n${problems.map((problem) => `  ${problem}\n`).join("")}`);
		if (problems.length > 0) process.exitCode = 1;
	}
}

if (process.argv[1] === import.meta.filename) await main();
