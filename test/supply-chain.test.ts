// The supply chain: what is installed is pinned and permissive, nothing runs at installation, nothing is fetched or interpreted at run time.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "./support/models.js";
import { ISOLATION, runOffline } from "./support/offline.js";

const ROOT = path.resolve(import.meta.dirname, "..");

interface LockedPackage {
	readonly version?: string;
	readonly integrity?: string;
	readonly resolved?: string;
	readonly link?: boolean;
	readonly dev?: boolean;
	readonly license?: string;
	readonly hasInstallScript?: boolean;
	readonly dependencies?: Readonly<Record<string, string>>;
	readonly devDependencies?: Readonly<Record<string, string>>;
}

type Locked = Readonly<Record<string, LockedPackage>>;

interface Manifest extends Pick<LockedPackage, "dependencies" | "devDependencies"> {
	readonly allowScripts?: Readonly<Record<string, boolean>>;
}

const json = (name: string): unknown => JSON.parse(readFileSync(path.join(ROOT, name), "utf8"));
const manifest = json("package.json") as Manifest;
const locked = (json("package-lock.json") as { readonly packages: Locked }).packages;

/** The package's name, from its place below node_modules. */
const nameOf = (place: string) => place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);

const installed = (packages: Locked) => Object.entries(packages).filter(([place]) => place !== "");

/** Packages without an exact version and a checksum of what the registry gave, and those that come from elsewhere. */
function unpinned(packages: Locked): string[] {
	const isPinned = ({ version, integrity, resolved = "", link }: LockedPackage) =>
		/^\d+\.\d+\.\d+/.test(version ?? "") && /^sha512-/.test(integrity ?? "") && !/^(git|file|http:)/.test(resolved) && link !== true;
	return installed(packages).flatMap(([place, found]) => (isPinned(found) ? [] : [nameOf(place)]));
}

/** Packages with an install script that `allowScripts` does not switch off. */
function withScripts(packages: Locked, allowed: Manifest["allowScripts"]): string[] {
	return installed(packages).flatMap(([place, { hasInstallScript }]) =>
		hasInstallScript === true && allowed?.[nameOf(place)] !== false ? [nameOf(place)] : [],
	);
}

const PERMISSIVE = new Set([
	"MIT",
	"ISC",
	"Apache-2.0",
	"BSD-2-Clause",
	"BSD-3-Clause",
	"0BSD",
	"Unlicense",
	"CC0-1.0",
	"BlueOak-1.0.0",
	"Python-2.0",
]);

/** True if the expression offers a choice, or asks for a sum, of permissive licences only, or a choice with one of them. */
function isPermissive(expression: string): boolean {
	const choices = expression.replace(/[()]/g, "").split(" OR ");
	return choices.some((choice) => choice.split(" AND ").every((licence) => PERMISSIVE.has(licence)));
}

const notPermissive = (packages: Locked) =>
	installed(packages).flatMap(([place, { license = "none" }]) => (isPermissive(license) ? [] : [`${nameOf(place)}: ${license}`]));

describe("packages", () => {
	it("are_pinned_by_version_and_checksum_in_the_lock_file", () => {
		expect(locked[""]?.dependencies).toEqual(manifest.dependencies);
		expect(locked[""]?.devDependencies).toEqual(manifest.devDependencies);
		for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
			expect(Object.keys(locked)).toContain(`node_modules/${name}`);
		}
		expect(unpinned(locked)).toEqual([]);
	});

	it("that_are_not_pinned_are_noticed", () => {
		const sound = { version: "1.2.3", integrity: "sha512-x" };
		const packages = {
			"": {},
			"node_modules/a": sound,
			"node_modules/b": { version: "1.2.3" },
			"node_modules/a/node_modules/c": { ...sound, version: "^1" },
			"node_modules/d": { ...sound, resolved: "git+ssh://somewhere/d" },
			"node_modules/e": { ...sound, link: true },
		};
		expect(unpinned(packages)).toEqual(["b", "c", "d", "e"]);
	});

	it("run_nothing_when_they_are_installed", () => {
		expect(withScripts(locked, manifest.allowScripts)).toEqual([]);
		expect(Object.values(manifest.allowScripts ?? {})).not.toContain(true);
	});

	it("with_an_install_script_are_noticed", () => {
		const packages = { "node_modules/a": { hasInstallScript: true }, "node_modules/b": { hasInstallScript: true }, "node_modules/c": {} };
		expect(withScripts(packages, { a: false, b: true })).toEqual(["b"]);
		expect(withScripts(packages, undefined)).toEqual(["a", "b"]);
	});

	it("that_users_install_have_permissive_licences", () => {
		const used = Object.fromEntries(Object.entries(locked).filter(([, { dev }]) => dev !== true));
		expect(Object.keys(used).length).toBeGreaterThan(Object.keys(manifest.dependencies ?? {}).length);
		expect(notPermissive(used)).toEqual([]);
	});

	it("of_the_tests_have_them_too_but_for_two_libraries_that_are_not_shipped", () => {
		const families = new Set(notPermissive(locked).map((line) => line.replace(/^(@img\/sharp|lightningcss).*/, "$1")));
		expect([...families].sort()).toEqual(["@img/sharp", "lightningcss"]);
	});

	it("of_other_licences_are_noticed", () => {
		expect(["MIT", "(MIT OR CC0-1.0)", "GPL-3.0 OR MIT", "MIT AND ISC"].filter((text) => !isPermissive(text))).toEqual([]);
		expect(["GPL-3.0", "MIT AND LGPL-3.0-or-later", "none", "SEE LICENSE IN x"].filter(isPermissive)).toEqual([]);
	});
});

/** What turns data into a program, or starts another. `fork` starts this program's own files, and no shell. */
const FORBIDDEN: Readonly<Record<string, RegExp>> = {
	eval: /\beval\s*\(/,
	"new Function": /(?<![:.\w])Function\s*\(/,
	"node:vm": /["'](node:)?vm["']/,
	"child_process other than fork": /import\s+(?!\{ fork \} from)[^;]*["'](node:)?child_process["']/,
	"a shell": /\bshell\s*:|\b(execSync|execFile|spawnSync|spawn)\s*\(/,
	"a network": /["'](node:)?(net|tls|http|https|http2|dgram|dns)["']|\bfetch\s*\(|\bWebSocket\b/,
	"an import of a computed name": /\bimport\s*\((?!\s*["'])/,
	"require of a computed name": /\brequire\s*\(/,
};

function offences(text: string): string[] {
	return Object.entries(FORBIDDEN).flatMap(([name, pattern]) => (pattern.test(text) ? [name] : []));
}

describe("the shipped code", () => {
	it("interprets_no_data_but_a_build_s_own_configuration_starts_no_shell_and_opens_no_connection", () => {
		const files = ["src", "passes"].flatMap((folder) =>
			(readdirSync(path.join(ROOT, folder), { recursive: true }) as string[]).map((name) => path.join(folder, name)),
		);
		const sources = files.filter((name) => /\.tsx?$/.test(name));
		expect(sources.length).toBeGreaterThan(100);
		const found = sources.map((name) => [name, offences(readFileSync(path.join(ROOT, name), "utf8"))] as const);
		// A configuration of `build` is a program of the user's own; running it is what it is for.
		expect(found.filter(([, names]) => names.length > 0)).toEqual([["src/build/load.ts", ["an import of a computed name"]]]);
	});

	it.each([
		["eval", "const x = eval(text);"],
		["new Function", 'new Function("a", body)'],
		["node:vm", 'import vm from "node:vm";'],
		["child_process other than fork", 'import { exec, fork } from "node:child_process";'],
		["a shell", "spawn(command, { shell: true })"],
		["a network", "await fetch(url)"],
		["an import of a computed name", "await import(name)"],
		["require of a computed name", "require(name)"],
	])("would_be_found_with_%s", (name, text) => {
		expect(offences(text)).toContain(name);
	});

	it("may_import_a_module_of_its_own_late_and_fork", () => {
		expect(offences('import { fork } from "node:child_process";\nconst { page } = await import("./page.js");')).toEqual([]);
	});
});

describe(`at run time, ${ISOLATION}`, () => {
	const CLI = path.join(ROOT, "dist/src/cli.js");
	const fixture = (name: string) => path.join(ROOT, "fixtures", name);

	it("a_model_is_inspected_compiled_trained_reported_and_compared_without_reaching_for_the_network", { timeout: 300_000 }, () => {
		const folder = temporaryFolder();
		const lm = fixture("sotu-lm/model.onnx");
		const text = path.join(folder, "text.txt");
		writeFileSync(text, readFileSync(fixture("sotu-lm/valid.txt"), "utf8").slice(0, 20_000));
		const data = ["--data", text, "--tokenizer", fixture("sotu-lm/tokenizer.json")];
		const commands = [
			["inspect", lm],
			[lm, "small.onnx", "--rank", "16", "--steps", "1", "--batch", "2", "--length", "16", ...data, "--report", "report.html"],
			["compare", lm, "small.onnx", ...data, "--tokens", "256"],
		];
		for (const command of commands) {
			const { status, stderr, attempts } = runOffline(folder, [CLI, ...command, "--quiet"]);
			expect(attempts).toEqual([]);
			expect(stderr).toBe("");
			expect(status).toBe(0);
		}
	});

	it("a_program_that_does_is_noticed_and_gets_nothing", () => {
		const folder = temporaryFolder();
		const program = (text: string) => runOffline(folder, ["--input-type=module", "--eval", text]);
		expect(program('import { lookup } from "node:dns"; lookup("example.org", () => {});').attempts).toEqual(["lookup example.org"]);
		expect(program('import net from "node:net"; net.connect(9, "127.0.0.1");').attempts).toHaveLength(1);
		expect(program('await fetch("http://127.0.0.1:8080/").catch(() => {});').attempts).toHaveLength(1);
		writeFileSync(path.join(folder, "child.mjs"), 'import net from "node:net"; net.connect(9, "127.0.0.1");');
		expect(program('import { fork } from "node:child_process"; fork("child.mjs", { execArgv: [] });').attempts).toHaveLength(1);
		expect(program("").attempts).toEqual([]);
	});
});
