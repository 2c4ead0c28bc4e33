// The compiler's file format as plain JavaScript, for processes of their own: transpiled file by file into a folder.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** Transpiles src/errors.ts, src/ir and src/onnx into `folder`; scripts beside it import `./src/onnx/index.js`. */
export function buildFileFormat(folder: string): void {
	const below = (room: string) => readdirSync(path.join(ROOT, room)).map((name) => `${room}/${name}`);
	for (const name of ["src/errors.ts", ...below("src/ir"), ...below("src/onnx")]) {
		const { outputText } = ts.transpileModule(readFileSync(path.join(ROOT, name), "utf8"), {
			compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
		});
		const out = path.join(folder, name.replace(/\.ts$/, ".js"));
		mkdirSync(path.dirname(out), { recursive: true });
		writeFileSync(out, outputText);
	}
	writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
	symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
}

/** Starts Node.js on `script` (the text of a module) inside `folder`. */
export function startScript(folder: string, script: string, args: readonly string[] = []): ChildProcess {
	const file = path.join(folder, `script-${process.hrtime.bigint()}.js`);
	writeFileSync(file, script);
	return spawn(process.execPath, ["--expose-gc", file, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Runs `script` to its end and returns what it printed. */
export function runScript(folder: string, script: string, args: readonly string[] = []): Promise<string> {
	const child = startScript(folder, script, args);
	let text = "";
	child.stdout?.on("data", (chunk: Buffer) => {
		text += chunk.toString();
	});
	return new Promise((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (code) => (code === 0 ? resolve(text) : reject(new Error(`the script ended with ${code}: ${text}`))));
	});
}
