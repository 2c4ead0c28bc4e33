// README, docs and docstrings say what is true: their links, files, options, scripts and examples exist.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { afterAll, describe, expect, it } from "vitest";
import { OPTION_NAMES } from "../src/arguments.js";
import { anchorsIn, examplesIn, headingsIn, linksIn, optionsIn, pathsIn, scriptsIn } from "./support/documents.js";

const ROOT = path.resolve(import.meta.dirname, "..");
const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8");
const under = (folder: string, ending: string) =>
	(readdirSync(path.join(ROOT, folder), { recursive: true }) as string[])
		.filter((name) => name.endsWith(ending))
		.map((name) => `${folder}/${name}`);

const DOCUMENTS = [
	"README.md",
	"CHANGELOG.md",
	"SECURITY.md",
	...under("docs", ".md").filter((name) => !name.startsWith("docs/api/")),
	...under("fixtures", "README.md"),
];
/** What users read about options. */
const MANUAL = ["README.md", "docs/reference.md"];

const missingLinks = (file: string, markdown: string) =>
	linksIn(markdown).filter((target) => !existsSync(path.join(ROOT, path.dirname(file), target)));
const missingPaths = (markdown: string) => pathsIn(markdown).filter((name) => !existsSync(path.join(ROOT, name)));
const missingAnchors = (file: string, markdown: string) =>
	anchorsIn(markdown).filter(({ file: target, heading }) => {
		const text = target === "" ? markdown : read(path.join(path.dirname(file), target));
		return !headingsIn(text).includes(heading);
	});
const missingOptions = (markdown: string) => optionsIn(markdown).filter((name) => !OPTION_NAMES.includes(name));
/** Scripts are those of this package, or of the one that the document stands in. */
const missingScripts = (file: string, markdown: string) => {
	const packages = [...new Set([path.join(path.dirname(file), "package.json"), "package.json"])].filter((name) =>
		existsSync(path.join(ROOT, name)),
	);
	const known = packages.flatMap((name) => Object.keys((JSON.parse(read(name)) as { scripts: Record<string, string> }).scripts));
	return scriptsIn(markdown).filter((name) => !known.includes(name));
};

describe("documents", () => {
	it.each(DOCUMENTS)("%s names nothing that does not exist", (file) => {
		const markdown = read(file);
		expect(missingLinks(file, markdown)).toEqual([]);
		expect(missingAnchors(file, markdown)).toEqual([]);
		expect(file.startsWith("fixtures/") ? [] : missingPaths(markdown)).toEqual([]);
		expect(missingScripts(file, markdown)).toEqual([]);
	});

	it.each(MANUAL)("%s names no option that --help does not know", (file) => {
		expect(missingOptions(read(file))).toEqual([]);
	});

	it("every_option_is_in_the_reference", () => {
		const named = optionsIn(read("docs/reference.md"));
		expect(OPTION_NAMES.filter((name) => !named.includes(name))).toEqual([]);
	});

	it("what_does_not_exist_is_noticed", () => {
		const wrong = "[a](docs/nothing.md) [b](#no-heading) `src/nothing.ts` `npm run nothing` `--nothing` `node dist/test/nothing.js`";
		expect(missingLinks("README.md", wrong)).toEqual(["docs/nothing.md"]);
		expect(missingAnchors("README.md", wrong)).toEqual([{ file: "", heading: "no-heading" }]);
		expect(missingPaths(wrong)).toEqual(["docs/nothing.md", "src/nothing.ts", "test/nothing.ts"]);
		expect(missingScripts("README.md", wrong)).toEqual(["nothing"]);
		expect(missingOptions("`--nothing` and `--rank 4`")).toEqual(["nothing"]);
	});
});

/** Inside the package, so that it finds itself by its name, as users import it. */
const EXAMPLES = path.join(ROOT, "dist/examples");
afterAll(() => rmSync(EXAMPLES, { recursive: true, force: true }));

/** What the compiler says of pieces of code, each a file of its own. */
function complaints(examples: readonly string[]): { readonly code: string; readonly message: string }[] {
	mkdirSync(EXAMPLES, { recursive: true });
	const files = new Map(examples.map((code, index) => [path.join(EXAMPLES, `${index}.ts`), code]));
	for (const [file, code] of files) writeFileSync(file, code);
	const { config } = ts.readConfigFile(path.join(ROOT, "tsconfig.json"), ts.sys.readFile);
	const { options } = ts.convertCompilerOptionsFromJson((config as { compilerOptions: object }).compilerOptions, ROOT);
	const program = ts.createProgram([...files.keys()], { ...options, noEmit: true });
	return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => ({
		code: files.get(path.resolve(file?.fileName ?? "")) ?? "",
		message: ts.flattenDiagnosticMessageText(messageText, " "),
	}));
}

describe("examples", () => {
	const documented = DOCUMENTS.flatMap((file) => examplesIn(read(file)));
	const inSources = under("src", ".ts").flatMap((file) => examplesIn(read(file)));

	it("of_documents_and_docstrings_compile_and_a_wrong_one_does_not", { timeout: 600_000 }, () => {
		expect(documented.length).toBeGreaterThan(0);
		expect(inSources.length).toBeGreaterThan(3);
		const wrong = 'import { compile } from "onnx-distemb";\nawait compile("model.onnx", "small.onnx", { rank: "64" });\n';
		const message: unknown = expect.stringContaining("'string' is not assignable to type 'number'");
		expect(complaints([...documented, ...inSources, wrong])).toEqual([{ code: wrong, message }]);
	});
});
