// The arrows of the design: what may import what, and where the file system, the engine and the file format may be named.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "..");

interface Import {
	readonly from: string;
	readonly to: string;
	readonly typeOnly: boolean;
}

function sources(): string[] {
	return ["src", "passes"].flatMap((folder) =>
		(readdirSync(path.join(ROOT, folder), { recursive: true }) as string[])
			.filter((name) => /\.tsx?$/.test(name))
			.map((name) => `${folder}/${name}`),
	);
}

function importsOf(file: string): Import[] {
	const text = readFileSync(path.join(ROOT, file), "utf8");
	return [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+"([^"]+)"/gms)].map(([, typeOnly, target]) => {
		const name = target ?? "";
		const to = name.startsWith(".") ? path.posix.normalize(path.posix.join(path.posix.dirname(file), name)).replace(/\.js$/, ".ts") : name;
		return { from: file, to, typeOnly: typeOnly !== undefined };
	});
}

const IMPORTS = sources().flatMap(importsOf);

/** Room of a file: the folder below src, `passes/<pass>`, or the file itself at the top of src. */
function room(file: string): string {
	const [top, second, third] = file.split("/");
	if (top === "passes") return `passes/${second}`;
	return third === undefined ? `src/${second}` : (second ?? "");
}

/** For each room: the rooms that it may import. Types of the pipeline's states may be imported by everyone. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
	ir: ["src/errors.ts"],
	onnx: ["ir", "src/errors.ts"],
	linalg: ["ir", "src/errors.ts"],
	gradient: ["ir", "src/errors.ts"],
	runtime: ["ir", "onnx", "linalg", "src/errors.ts"],
	data: ["ir", "src/errors.ts"],
	metrics: ["src/errors.ts"],
	training: ["ir", "onnx", "linalg", "gradient", "runtime", "data", "metrics", "src/errors.ts"],
	report: ["ir", "src/errors.ts"],
	build: ["onnx", "data", "report", "src/errors.ts", "src/version.ts", "src/amounts.ts", "src/check-options.ts"],
	details: ["ir", "onnx", "linalg", "runtime", "data", "training", "compare", "report", "src/errors.ts", "src/version.ts"],
};

const SHARED = ["src/state.ts", "src/pass.ts", "src/storage.ts", "src/options.ts", "src/random.ts"];

describe("arrows", () => {
	it("every_import_follows_an_arrow", () => {
		const wrong = IMPORTS.filter(({ from, to }) => {
			const allowed = ALLOWED[room(from)];
			if (allowed === undefined || !to.startsWith("src/")) return false;
			return room(to) !== room(from) && !allowed.includes(room(to)) && !SHARED.includes(to);
		});
		expect(wrong).toEqual([]);
	});

	it("no_pass_imports_another_pass", () => {
		const wrong = IMPORTS.filter(({ from, to }) => from.startsWith("passes/") && to.startsWith("passes/") && room(from) !== room(to));
		expect(wrong).toEqual([]);
	});

	it("only_compile_imports_passes", () => {
		const importers = new Set(
			IMPORTS.filter(({ from, to }) => from.startsWith("src/") && to.startsWith("passes/")).map(({ from }) => from),
		);
		expect([...importers]).toEqual(["src/compile.ts"]);
	});

	it("passes_do_not_reach_the_command_line_or_the_files", () => {
		const wrong = IMPORTS.filter(
			({ from, to }) => from.startsWith("passes/") && (to === "src/cli.ts" || to === "src/compile.ts" || room(to) === "onnx"),
		);
		expect(wrong).toEqual([]);
	});

	it("only_runtime_names_the_engine", () => {
		const users = IMPORTS.filter(({ to }) => to === "onnxruntime-node").map(({ from }) => room(from));
		expect(new Set(users)).toEqual(new Set(["runtime"]));
	});

	it("only_the_page_of_the_report_names_its_libraries", () => {
		const libraries = ["preact", "preact-render-to-string", "@observablehq/plot", "linkedom"];
		const users = IMPORTS.filter(({ to }) => libraries.includes(to)).map(({ from }) => path.posix.dirname(from));
		expect(new Set(users)).toEqual(new Set(["src/report/html"]));
	});

	it("only_onnx_names_protobuf", () => {
		const users = IMPORTS.filter(({ to }) => to === "protobufjs" || to === "long").map(({ from }) => room(from));
		expect(new Set(users)).toEqual(new Set(["onnx"]));
	});

	it("only_onnx_data_and_report_touch_the_file_system", () => {
		const users = IMPORTS.filter(({ to }) => to.startsWith("node:fs")).map(({ from }) => room(from));
		expect([...new Set(users)].filter((user) => !["onnx", "data", "report"].includes(user))).toEqual([]);
	});

	it("finds_imports_at_all", () => {
		expect(IMPORTS.length).toBeGreaterThan(100);
	});
});
