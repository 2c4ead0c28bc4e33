// What documents claim: links, files, options, npm scripts and examples that they name.

/** Targets of Markdown links and of images that are no addresses, without the part after `#`. */
export function linksIn(markdown: string): string[] {
	const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)/g), ...markdown.matchAll(/<img src="([^"]+)"/g)].map(([, target = ""]) => target);
	return targets.filter((target) => !/^[a-z]+:/.test(target) && !target.startsWith("#")).map((target) => target.replace(/#.*/, ""));
}

/** Links to headings, of this document (`#heading`) or of another (`file.md#heading`). */
export function anchorsIn(markdown: string): { readonly file: string; readonly heading: string }[] {
	return [...markdown.matchAll(/\]\(([^)\s:]*)#([^)\s]+)\)/g)].map(([, file = "", heading = ""]) => ({ file, heading }));
}

/** Headings as links name them: lower case, without punctuation, `-` for spaces. */
export function headingsIn(markdown: string): string[] {
	return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
		title
			.toLowerCase()
			.replace(/[^\p{L}\p{N} _-]/gu, "")
			.replaceAll(" ", "-"),
	);
}

const FOLDERS = "src|passes|schemas|fixtures|test|docs|dist/test|\\.ci";

/** Paths in this repository, in backticks or commands. What was compiled stands for its source. */
export function pathsIn(markdown: string): string[] {
	const found = [...markdown.matchAll(new RegExp(`(?<![\\w./-])(?:\\./)?((?:${FOLDERS})/[\\w./-]*\\w)`, "g"))].map(([, path = ""]) => path);
	return found.filter((path) => !path.startsWith("docs/api")).map((path) => path.replace(/^dist\/(.*)\.js$/, "$1.ts"));
}

/** Options with two dashes, without them, in the parts that are about this tool: not in commands of others. */
export function optionsIn(markdown: string): string[] {
	const others = /^.*\b(?:npm (?:ci|run|install)|npx (?:tsc|vitest)|node dist\/test)\b.*$/gm;
	const ours = markdown.replace(others, "");
	return [...ours.matchAll(/(?<![\w-])--([a-z][a-z-]*[a-z]|[a-z])\b/g)].map(([, name = ""]) => name);
}

export function scriptsIn(markdown: string): string[] {
	return [...markdown.matchAll(/npm run ([\w:-]+)/g)].map(([, name = ""]) => name);
}

/** TypeScript of Markdown, or of docstrings in a source file. */
export function examplesIn(text: string): string[] {
	return [...text.matchAll(/^( \* |)```ts\n(.*?)^\1```/gms)].map(([, , code = ""]) => code.replace(/^ \* ?/gm, ""));
}
