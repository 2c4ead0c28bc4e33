// The package as users get it: packed, installed into an empty project, run, imported, type-checked; and the example project on it.
import { execFileSync, spawnSync } from "node:child_process";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "../..");
const BIN = path.join(ROOT, "node_modules/.bin");
const MODEL = path.join(ROOT, "fixtures/patterns/p01-matmul-transposed-twin.onnx");

const work = mkdtempSync(path.join(tmpdir(), "distemb-package-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const inWork = (name: string) => path.join(work, name);
let tarball = "";

/** Without what npm tells the scripts that it runs: an npm in here is to read its own project. */
const ENVIRONMENT = Object.fromEntries(
	Object.entries(process.env).filter(
		([name]) => !/^npm_(package|lifecycle|command|execpath|config_(local_prefix|prefix))/i.test(name) && name !== "GITHUB_ACTIONS",
	),
);

function run(command: string, args: readonly string[], cwd: string) {
	const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", cwd, env: ENVIRONMENT });
	return { status, stdout, stderr, all: `${stdout}${stderr}` };
}

/** The example project with its neighbour, and the packed package as its dependency. */
const project = inWork("example-pipeline");

beforeAll(() => {
	const packed = run("npm", ["pack", "--json", "--pack-destination", work], ROOT);
	expect(packed.status, packed.all).toBe(0);
	tarball = readdirSync(work).find((name) => name.endsWith(".tgz")) ?? "";
	cpSync(path.join(ROOT, "fixtures/example-pipeline"), project, {
		recursive: true,
		filter: (name) => !/[\\/](node_modules|dist)$/.test(name),
	});
	symlinkSync(path.join(ROOT, "fixtures/sotu-lm"), inWork("sotu-lm"));
	const manifest = path.join(project, "package.json");
	writeFileSync(manifest, readFileSync(manifest, "utf8").replace("file:../..", `file:../${tarball}`));
	const installed = run("npm", ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"], project);
	expect(installed.status, installed.all).toBe(0);
});

describe("the_package", () => {
	it("holds_what_runs_and_its_schemas_and_nothing_else", () => {
		const names = execFileSync("tar", ["-tzf", inWork(tarball)], { encoding: "utf8" })
			.trim()
			.split("\n");
		const foreign = names.filter(
			(name) =>
				!/^package\/(dist\/(src|passes)\/.*\.(js|d\.ts)|schemas\/\w+\.schema\.json|docs\/\w+\.md|package\.json|[A-Z]+(\.md)?)$/.test(name),
		);
		expect(foreign).toEqual([]);
		for (const name of ["dist/src/cli.js", "dist/src/index.d.ts", "schemas/report.schema.json", "README.md", "LICENSE"])
			expect(names).toContain(`package/${name}`);
		expect(statSync(inWork(tarball)).size).toBeLessThan(1_000_000);
	});

	it("runs_by_npx_in_a_folder_that_holds_nothing_else", () => {
		const folder = path.join(project, "empty");
		mkdirSync(folder);
		const result = run("npx", ["--no-install", "onnx-distemb", MODEL, "small.onnx", "--rank", "4", "--method", "svd", "--quiet"], folder);
		expect(result.stderr).toBe("");
		expect(result.stdout).toMatch(/→ small\.onnx .* smaller/);
		expect(readdirSync(folder)).toEqual(["small.onnx"]);
		expect(run("npx", ["--no-install", "onnx-distemb", "--help"], folder).stdout).toMatch(/^Commands:$/m);
	});

	it("is_imported_with_its_schemas", () => {
		writeFileSync(
			path.join(project, "use.mjs"),
			`import { compile, DistembError, inspect } from "onnx-distemb";
			import report from "onnx-distemb/report.schema.json" with { type: "json" };
			import config from "onnx-distemb/config.schema.json" with { type: "json" };
			const { savedBytes } = await compile(${JSON.stringify(MODEL)}, "used.onnx", { rank: 4, method: "svd" });
			const failure = await inspect("nowhere.onnx").catch((error) => error instanceof DistembError && error.code);
			console.log(JSON.stringify([savedBytes > 0, failure, report.$ref, config.$ref]));`,
		);
		const result = run(process.execPath, ["--disable-warning=ExperimentalWarning", "use.mjs"], project);
		expect(result.stderr).toBe("");
		expect(JSON.parse(result.stdout)).toEqual([true, "input", "#/definitions/Report", "#/definitions/DistembConfig"]);
	});

	it.each([
		["bundler", "ESNext"],
		["node16", "Node16"],
		["nodenext", "NodeNext"],
	])("has_types_for_module_resolution_%s", (moduleResolution, module) => {
		const options = {
			module,
			moduleResolution,
			strict: true,
			noEmit: true,
			target: "ES2022",
			lib: ["ES2023", "DOM"],
			types: [],
			exactOptionalPropertyTypes: true,
		};
		const check = (name: string, text: string) => {
			writeFileSync(path.join(project, name), text);
			writeFileSync(path.join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: [name, "distemb.config.ts"] }));
			return run(path.join(BIN, "tsc"), ["-p", "."], project);
		};
		const use = (rank: string) => `
			import { build, type BuildReport, compare, type CompileOptions, type CompileReport, compile, defineConfig, loadConfig, plan } from "onnx-distemb";
			const signal = new AbortController().signal;
			const options: CompileOptions = { rank: ${rank}, signal, onProgress: ({ pass, fraction }) => void [pass.length, fraction.toFixed()] };
			const report: CompileReport = await compile("model.onnx", "small.onnx", options);
			const nats: number | undefined = report.quality?.tokens?.all.divergence;
			const built: BuildReport = await build(defineConfig({ models: { small: { input: "a", output: "b", targetSize: "20MB" } } }), { force: true });
			for (const model of built.models) if (model.status === "failed") model.error.code satisfies string;
			export default [nats, (await plan("model.onnx")).sizes, (await compare("a", "b", { data: ["c"] })).tokens, (await loadConfig()).config];
		`;
		const right = check("use.ts", use("8"));
		expect(right.all).toBe("");
		expect(right.status).toBe(0);
		expect(check("misuse.ts", use('"8"')).stdout).toMatch(/misuse\.ts.*error TS2322: Type 'string' is not assignable to type 'number'/);
	});

	it("is_clean_for_publint", () => {
		const result = run(path.join(BIN, "publint"), ["run", inWork(tarball), "--strict"], work);
		expect(result.all).toMatch(/All good!/);
		expect(result.status, result.all).toBe(0);
	});

	it("has_types_that_are_right_for_are_the_types_wrong", () => {
		// ES modules only, which Node from 20.19 also gives to require(): node10 and CommonJS importers of node16 are left out.
		const result = run(path.join(BIN, "attw"), [inWork(tarball), "--profile", "esm-only", "--format", "json"], work);
		expect(result.status, result.all).toBe(0);
		const { analysis } = JSON.parse(result.stdout) as { analysis: { problems: readonly { kind: string; resolutionKind?: string }[] } };
		expect(analysis.problems.filter(({ resolutionKind }) => resolutionKind === "node16-esm" || resolutionKind === "bundler")).toEqual([]);
	});
});

describe("the_example_project", () => {
	it("builds_its_models_once", () => {
		const first = run("npm", ["run", "--silent", "build"], project);
		expect(first.status, first.all).toBe(0);
		expect(first.stdout).toMatch(/^quarter +built .* smaller \(new\)\neighth +built .* smaller \(new\)$/m);
		const sizes = ["quarter", "eighth"].map((name) => statSync(path.join(project, `dist/${name}.onnx`)).size);
		expect(sizes[1]).toBeLessThan(sizes[0] ?? 0);
		expect(run("npm", ["run", "--silent", "build"], project).stdout).toMatch(/^quarter +up to date .*\neighth +up to date /m);
	});

	it("fails_when_a_gate_is_missed", () => {
		const result = run("npm", ["run", "--silent", "build:too-small"], project);
		expect(result.stdout).toMatch(/^eighth +built .*\nrank-8 +gate missed .*perplexity rose by/m);
		expect(result.stderr).toMatch(/^onnx-distemb: rank-8: .*perplexity rose by [\d.]+ % .*, more than 10 %; nothing was written/m);
		expect(result.status).toBe(3);
		expect(existsSync(path.join(project, "dist/too-small/rank-8.onnx"))).toBe(false);
	});
});
