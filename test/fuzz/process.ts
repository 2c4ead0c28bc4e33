// The parent's side of a worker: gives orders, hears verdicts, kills what hangs or takes the machine's memory.
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { CaseName, Verdict } from "./case.js";
import type { Order, Told } from "./worker.js";

const WORKER = path.join(import.meta.dirname, "worker.js");

/** Seconds of processor time that a case may take: on a busy machine the clock says little. */
const MOST_SECONDS = 10;

/** Seconds by the clock, for what waits and computes nothing; a command starts a process of its own. */
const MOST_WAITING = 60;

/** Bytes at which a worker is killed before it is measured. */
const MOST_BYTES = 3 * 2 ** 30;

/** Milliseconds between looks at a worker. */
const LOOK = 250;

export type Report = (label: string, kind: string, verdict: Verdict) => void;

export class Worker {
	readonly #root: string;
	readonly #trained: string;
	#child: ChildProcess | undefined;

	/** @param root a folder of its own */
	constructor(root: string, trained: string) {
		this.#root = root;
		this.#trained = trained;
	}

	/** Follows `order`, reports every case; true if it came to its end, false if the worker died in the case reported last. */
	async follow(order: Order, report: Report): Promise<boolean> {
		const child = this.#child ?? this.#started();
		let said = "";
		const listen = (chunk: Buffer) => {
			said = (said + chunk.toString()).slice(-2000);
		};
		child.stderr?.on("data", listen);
		let killed: string | undefined;
		const watch = new Watch(child, (reason) => {
			killed = reason;
			child.kill("SIGKILL");
		});
		try {
			const ended = await new Promise<"done" | "dead">((resolve) => {
				child.on("message", (told: Told) => {
					watch.moved();
					if ("done" in told) resolve("done");
					else report(told.label, told.kind, told.verdict);
				});
				child.once("exit", (code, signal) => {
					killed ??= `ends the process: ${signal ?? `exit code ${code}`}; ${said.trim().split("\n").at(-1) ?? ""}`;
					resolve("dead");
				});
				child.send(order);
			});
			if (ended === "done") return true;
			this.#child = undefined;
			const label = this.#current();
			report(label, label.split(":")[0] ?? "", { outcome: "failure", reason: killed ?? "ends the process", stack: said });
			return false;
		} finally {
			watch.stop();
			child.removeAllListeners("message");
			child.removeAllListeners("exit");
			child.stderr?.off("data", listen);
		}
	}

	#started(): ChildProcess {
		const child = fork(WORKER, [this.#root, this.#trained], {
			execArgv: ["--stack-trace-limit=30"],
			stdio: ["ignore", "ignore", "pipe", "ipc"],
		});
		this.#child = child;
		return child;
	}

	/** The verdict on one case. */
	async one(order: { readonly name: CaseName } | { readonly folder: string }): Promise<Verdict> {
		let verdict: Verdict = { outcome: "failure", reason: "says nothing" };
		await this.follow(order, (_label, _kind, each) => {
			verdict = each;
		});
		return verdict;
	}

	/** A new process for the next order. */
	close(): void {
		this.#child?.kill("SIGKILL");
		this.#child = undefined;
	}

	#current(): string {
		return readFileSync(path.join(this.#root, "current"), "utf8").trim();
	}
}

/** Looks at a process now and then: its memory, and the time since it last moved on. */
class Watch {
	readonly #timer: NodeJS.Timeout;
	readonly #child: ChildProcess;
	#since = performance.now();
	#computed: number | undefined;

	constructor(child: ChildProcess, kill: (reason: string) => void) {
		this.#child = child;
		this.#timer = setInterval(() => {
			const waited = (performance.now() - this.#since) / 1000;
			const now = this.#processorSeconds();
			this.#computed ??= now;
			if (now - this.#computed > MOST_SECONDS) kill(`takes more than ${MOST_SECONDS} s`);
			else if (waited > MOST_WAITING) kill(`has not ended after ${MOST_WAITING} s`);
			else if (this.#bytes() > MOST_BYTES) kill(`takes more than ${MOST_BYTES / 2 ** 30} GiB`);
		}, LOOK);
	}

	/** A new case begins. */
	moved(): void {
		this.#since = performance.now();
		this.#computed = undefined;
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	#processorSeconds(): number {
		const fields =
			this.#read("stat")
				?.replace(/^.*\) /s, "")
				.split(" ") ?? [];
		// utime and stime, in hundredths; without /proc the clock must do.
		return fields.length > 12 ? (Number(fields[11]) + Number(fields[12])) / 100 : (performance.now() - this.#since) / 1000;
	}

	#bytes(): number {
		return Number(this.#read("statm")?.split(" ")[1] ?? 0) * 4096;
	}

	#read(name: string): string | undefined {
		const file = `/proc/${this.#child.pid}/${name}`;
		try {
			return existsSync(file) ? readFileSync(file, "utf8") : undefined;
		} catch {
			return undefined; // it has just ended
		}
	}
}
