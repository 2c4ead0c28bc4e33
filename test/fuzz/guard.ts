// Watches what this process does to the file system: every path that JavaScript opens, writes, renames or removes.
import { createRequire, syncBuiltinESMExports } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);

/** Functions of node:fs and node:fs/promises that take paths; whether they write. `open` depends on its flags. */
const READING = ["readFile", "readdir", "opendir", "readlink", "createReadStream", "access"];
const WRITING = ["writeFile", "appendFile", "mkdir", "mkdtemp", "rename", "rm", "rmdir", "unlink", "truncate", "symlink", "link", "chmod"];
const WRITING_TOO = ["utimes", "createWriteStream", "copyFile", "cp"];

export interface Access {
	readonly path: string;
	readonly writes: boolean;
}

type Listener = (access: Access) => void;

let listener: Listener | undefined;

function note(target: unknown, writes: boolean): void {
	if (listener === undefined || typeof target !== "string") return;
	const call = listener;
	// What the listener does itself is not watched.
	listener = undefined;
	call({ path: path.resolve(target), writes });
	listener = call;
}

function opensForWriting(flags: unknown): boolean {
	// O_WRONLY is 1, O_RDWR 2.
	return typeof flags === "number" ? (flags & 3) !== 0 : typeof flags === "string" && flags !== "r" && flags !== "rs";
}

type Call = (...args: unknown[]) => unknown;

function watched(original: Call, writes: (args: readonly unknown[]) => boolean, hasTarget: boolean): Call {
	return function (this: unknown, ...args: unknown[]) {
		note(args[0], writes(args));
		if (hasTarget) note(args[1], true);
		return Reflect.apply(original, this, args);
	};
}

/** From now on every access is told to `each`. Replaces functions of node:fs in this process; call once. */
export function watchFiles(each: Listener): void {
	for (const module of [require("node:fs"), require("node:fs/promises")] as Record<string, unknown>[]) {
		for (const suffix of ["", "Sync"]) {
			const wrap = (name: string, writes: (args: readonly unknown[]) => boolean, hasTarget = false) => {
				const original = module[name + suffix];
				if (typeof original === "function") module[name + suffix] = watched(original as Call, writes, hasTarget);
			};
			wrap("open", ([, flags]) => opensForWriting(flags));
			for (const name of READING) wrap(name, () => false);
			for (const name of WRITING) wrap(name, () => true, name === "rename" || name === "link" || name === "symlink");
			for (const name of WRITING_TOO) wrap(name, () => name !== "copyFile" && name !== "cp", name === "copyFile" || name === "cp");
		}
	}
	syncBuiltinESMExports();
	listener = each;
}

/** `inner` lies in `folder`, or is it. */
export function isWithin(inner: string, folder: string): boolean {
	const relative = path.relative(folder, inner);
	return relative === "" || !(relative.startsWith("..") || path.isAbsolute(relative));
}
