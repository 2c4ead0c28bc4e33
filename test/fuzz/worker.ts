// A process that runs cases one after the other, and can be killed in the middle of one: what it is at stands in a file.
import { mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { type CaseName, type FuzzCase, labelOf, type Verdict } from "./case.js";
import { Dice } from "./dice.js";
import { watchFiles } from "./guard.js";
import { Judge } from "./judge.js";
import { kindOf, kindsWith } from "./kinds.js";
import { readCase } from "./saved.js";

/** What the parent asks for: cases `from` to `to` of a run, one case by name, or one that was saved. */
export type Order =
	| { readonly run: number; readonly from: number; readonly to: number; readonly only: string | undefined }
	| { readonly name: CaseName }
	| { readonly folder: string };

/** What the parent is told: a case that was judged, or the end of the order. */
export type Told = { readonly label: string; readonly kind: string; readonly verdict: Verdict } | { readonly done: true };

const [root = ".", trained = "."] = process.argv.slice(2);
mkdirSync(root, { recursive: true });
// If memory runs out on this machine, this process goes first.
try {
	writeFileSync("/proc/self/oom_score_adj", "1000");
} catch {
	// Not Linux, or not allowed: then it is as likely to go as any other.
}
const current = openSync(path.join(root, "current"), "w");
const judge = new Judge(root, trained);
const kinds = kindsWith(Uint8Array.from(readFileSync(path.join(trained, "checkpoint.safetensors"))));
watchFiles((access) => judge.note(access));
process.on("unhandledRejection", (error) => judge.noteStray(error));
process.on("uncaughtException", (error) => judge.noteStray(error));

/** The name of case `index` of run `run`. */
function nameOf(run: number, index: number, only: string | undefined): CaseName {
	const dice = new Dice(run, `case ${index}`);
	return { kind: only ?? kindOf(kinds, dice), seed: dice.below(2 ** 31) };
}

function made({ kind, seed }: CaseName): FuzzCase {
	const found = kinds[kind];
	if (found === undefined) throw new Error(`there are no cases of kind ${kind}`);
	return found.make(new Dice(seed, kind));
}

async function run(label: string, kind: string, make: () => FuzzCase): Promise<void> {
	writeSync(current, label.padEnd(120), 0);
	const verdict = await judge.judge(make());
	tell({ label, kind, verdict });
}

function tell(told: Told): void {
	process.send?.(told);
}

async function follow(order: Order): Promise<void> {
	if ("name" in order) await run(labelOf(order.name), order.name.kind, () => made(order.name));
	else if ("folder" in order) await run(order.folder, "saved", () => readCase(order.folder));
	else {
		for (let index = order.from; index < order.to; index++) {
			const name = nameOf(order.run, index, order.only);
			await run(labelOf(name), name.kind, () => made(name));
		}
	}
	tell({ done: true });
}

process.on("message", (order: Order) => {
	follow(order).catch((error: unknown) => {
		// A mistake of the fuzzer itself: the parent hears the last line.
		process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n${String(error)}\n`, () => process.exit(1));
	});
});
process.on("disconnect", () => process.exit());
