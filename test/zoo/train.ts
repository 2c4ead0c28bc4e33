// node dist/test/zoo/train.js <folder>: which models of a zoo can be trained, and why the others cannot.
import path from "node:path";
import { DistembError } from "../../src/errors.js";
import { openLesson } from "../training/support.js";
import { readManifest } from "./manifest.js";

const [folder = "", only = ""] = process.argv.slice(2);
const zoo = path.resolve(folder);
const counts = new Map<string, number>();
for (const { path: file, bundle, expect, runs_in_ort_cpu: runs } of readManifest(zoo)) {
	if (!file.includes(only) || expect === "error") continue;
	const input = bundle !== undefined && path.dirname(file) === bundle ? path.join(zoo, bundle) : path.join(zoo, file);
	let result: string;
	try {
		const lesson = await openLesson(input);
		const loss = await lesson.training.measure(lesson.feeds);
		const norms = [...lesson.training.gradients].map(([name, gradient]) => [name, Math.hypot(...gradient)] as const);
		const dead = norms.filter(([, norm]) => !(norm > 0 && Number.isFinite(norm))).map(([name, norm]) => `${name} has gradient ${norm}`);
		const problems = [...(Number.isFinite(loss) ? [] : [`loss ${loss}`]), ...dead, ...lesson.untrainable];
		const all = `${lesson.whole.kind}, loss ${loss.toPrecision(3)}, ${norms.length} of ${lesson.factors.length} factors`;
		result = problems.length === 0 ? `ok   ${all}` : `PART ${all}: ${problems.join("; ")}`;
		await lesson.close();
	} catch (error) {
		result =
			error instanceof DistembError ? `none ${error.code}: ${error.toLine()}` : `CRASH ${error instanceof Error ? error.stack : error}`;
	}
	const key = `${expect} ${result.slice(0, 4)}`;
	counts.set(key, (counts.get(key) ?? 0) + 1);
	process.stdout.write(`${file} (${expect}${runs === false ? ", does not run" : ""}): ${result}\n`);
}
process.stdout.write(`${[...counts].map(([key, count]) => `${key}: ${count}`).join("\n")}\n`);
