// Two runs with one output at once: one wins, the others say so.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/models.js";
import { LANGUAGE_MODEL, ROOT, run, start, writeModel } from "./support.js";

const work = temporaryFolder();
const MODEL = writeModel(path.join(work, "model.onnx"), LANGUAGE_MODEL);
const FAST = ["--rank", "4", "--method", "svd", "--quiet"];
let name = "";
let count = 0;
beforeEach(() => {
	name = `small${count++}.onnx`;
});
const outputs = () => readdirSync(work).filter((file) => file.includes(name));

/** Converts, and waits in the middle of it until the file `go` is there. */
function waiting(): {
	readonly begun: Promise<boolean>;
	readonly go: () => void;
	readonly ended: ReturnType<typeof start>["ended"];
	readonly kill: () => void;
} {
	const go = path.join(work, `${name}.go`);
	const program = path.join(work, "waiting.mjs");
	writeFileSync(
		program,
		`import { existsSync } from "node:fs";
		import { compile } from ${JSON.stringify(path.join(ROOT, "dist/src/index.js"))};
		const [input, output, go] = process.argv.slice(2);
		const pause = new Int32Array(new SharedArrayBuffer(4));
		const onProgress = ({ pass }) => {
			if (pass !== "write") return;
			process.stderr.write("waiting\\n");
			while (!existsSync(go)) Atomics.wait(pause, 0, 0, 20);
		};
		await compile(input, output, { rank: 4, method: "svd", onProgress });`,
	);
	const { child, ended, says } = start([MODEL, name, go], { program, cwd: work });
	return { begun: says(/waiting/), go: () => writeFileSync(go, ""), ended, kill: () => void child.kill("SIGKILL") };
}

describe("a second run with the same output", () => {
	it("says_who_is_at_work_and_leaves_him_alone", async () => {
		const first = waiting();
		expect(await first.begun).toBe(true);
		const second = await run([MODEL, name, ...FAST], { cwd: work });
		expect(second.stderr).toMatch(
			/^onnx-distemb: .*small0\.onnx: another run \(process \d+ on .*\) is writing it; wait for it or name another output[^\n]*\n$/,
		);
		expect(second.status).toBe(1);
		first.go();
		expect(await first.ended).toMatchObject({ status: 0 });
		expect(outputs().filter((file) => !file.endsWith(".go"))).toEqual([name]);
	});

	it("takes_over_from_one_that_was_killed_and_leaves_nothing_of_it", async () => {
		const first = waiting();
		expect(await first.begun).toBe(true);
		first.kill();
		await first.ended;
		expect(outputs()).toEqual([`.${name}.partial`]);
		expect(await run([MODEL, name, ...FAST], { cwd: work })).toMatchObject({ status: 0, stderr: "" });
		expect(outputs()).toEqual([name]);
	});

	it("wins_once_among_several_that_find_the_leftovers_of_a_killed_one", async () => {
		const killed = waiting();
		expect(await killed.begun).toBe(true);
		killed.kill();
		await killed.ended;
		const all = await Promise.all(Array.from({ length: 4 }, () => run([MODEL, name, ...FAST], { cwd: work })));
		expect(all.filter(({ status }) => status === 0)).toHaveLength(1);
		for (const { status, stderr } of all) {
			if (status === 0) continue;
			// Whoever comes when the winner is done finds its output.
			expect(stderr).toMatch(/^onnx-distemb: [^\n]*(is writing it|already exists)[^\n]*\n$/);
			expect(status).toBe(1);
		}
		expect(outputs()).toEqual([name]);
		const alone = `alone-${name}`;
		await run([MODEL, alone, ...FAST], { cwd: work });
		expect(readFileSync(path.join(work, name)).equals(readFileSync(path.join(work, alone)))).toBe(true);
	});
});
