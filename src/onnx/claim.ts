// One run at a time for an output: a hidden folder beside it, made in one step, that names the process it belongs to.
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { DistembError, outputError } from "../errors.js";
import { undoCommit } from "./commit.js";
import { statOf } from "./source.js";

/** Name of the file that says whose folder it is. */
const OWNER = "owner.json";

/** A folder without a readable owner may be in the making, unless it is older than this. */
export const MAKING_MILLISECONDS = 10_000;

/** Who works in a folder. A process id is given again some day; with the time of its start it is not. */
interface Owner {
	readonly host: string;
	readonly pid: number;
	/** Undefined where the system does not say. */
	readonly started: string | undefined;
	/** Of this claim alone. */
	readonly run: string;
}

/** Folder beside the output in which its next version is made. */
export function claimedFolder(target: string): string {
	return path.join(path.dirname(target), `.${path.basename(target)}.partial`);
}

/**
 * Makes the folder beside `target` for this run alone; what a killed run left there is removed first.
 * @param target absolute path
 * @throws DistembError `output` if another run works there, or the folder above cannot be written
 */
export function claimOutput(target: string): string {
	const folder = claimedFolder(target);
	if (!isMade(folder)) {
		clearLeftovers(target);
		if (!isMade(folder)) throw busy(target, folder);
	}
	return folder;
}

/**
 * Removes what a run that was killed left beside `target`, and half of an output that it had begun to move there.
 * Does nothing where no run was, or where one is at work.
 */
export function clearLeftovers(output: string): void {
	const target = path.resolve(output);
	const folder = claimedFolder(target);
	const owner = ownerOf(folder);
	if (owner === undefined ? isAbandoned(folder) : !isAtWork(owner)) moveAside(folder, owner);
	for (const aside of siblings(folder)) {
		const other = ownerOf(aside);
		if (other === undefined ? !isAbandoned(aside) : isAtWork(other)) continue;
		try {
			undoCommit(aside, target);
			rmSync(aside, { recursive: true, force: true });
		} catch (cause) {
			throw outputError(aside, cause);
		}
	}
}

/** Two runs may find the same leftover: one of them gets it. Whoever moves what another has just made puts it back. */
function moveAside(folder: string, owner: Owner | undefined): void {
	const aside = `${folder}.${owner?.run ?? "unowned"}`;
	try {
		renameSync(folder, aside);
		if (ownerOf(aside)?.run !== owner?.run) renameSync(aside, folder);
	} catch {
		// The other run was faster.
	}
}

/** Folders that were moved aside, or did not come to their place: of runs that were killed meanwhile, too. */
function siblings(folder: string): string[] {
	const parent = path.dirname(folder);
	const start = `${path.basename(folder)}.`;
	try {
		return readdirSync(parent).flatMap((name) => (name.startsWith(start) ? [path.join(parent, name)] : []));
	} catch {
		return [];
	}
}

/** Makes the folder with its owner in it, in one step: false if there is one. */
function isMade(folder: string): boolean {
	const owner: Owner = { host: hostname(), pid: process.pid, started: startOf(process.pid), run: randomUUID() };
	const own = `${folder}.${owner.run}`;
	try {
		mkdirSync(own);
	} catch (cause) {
		throw outputError(path.dirname(folder), cause);
	}
	try {
		writeFileSync(path.join(own, OWNER), JSON.stringify(owner));
		renameSync(own, folder);
		return true;
	} catch (cause) {
		rmSync(own, { recursive: true, force: true });
		// A folder that is not empty is not replaced (rename(2)); how that is called differs between systems.
		if (statOf(folder) !== undefined) return false;
		throw outputError(own, cause);
	}
}

function busy(target: string, folder: string): DistembError {
	const owner = ownerOf(folder);
	const who = owner === undefined ? "another run" : `another run (process ${owner.pid} on ${owner.host})`;
	return new DistembError("output", `${who} is writing it`, {
		at: target,
		hint: `wait for it or name another output; if there is no such run any more, remove ${folder}`,
	});
}

function ownerOf(folder: string): Owner | undefined {
	try {
		const owner: Partial<Owner> = JSON.parse(readFileSync(path.join(folder, OWNER), "utf8"));
		const { host, pid, started, run } = owner;
		return typeof host === "string" && typeof pid === "number" && typeof run === "string" ? { host, pid, started, run } : undefined;
	} catch {
		return undefined;
	}
}

function isAbandoned(folder: string): boolean {
	const stat = statOf(folder);
	return stat !== undefined && Date.now() - Number(stat.mtimeMs) > MAKING_MILLISECONDS;
}

/** Of another machine that shares the disk nothing is known: its run is taken to be at work. */
function isAtWork({ host, pid, started }: Owner): boolean {
	if (host !== hostname()) return true;
	try {
		process.kill(pid, 0);
	} catch (cause) {
		if (codeOf(cause) === "ESRCH") return false;
	}
	const now = startOf(pid);
	return started === undefined || now === undefined || now === started;
}

/** When a process started, in ticks since the system did (proc(5), /proc/pid/stat), or "ended"; undefined where that cannot be read. */
function startOf(pid: number): string | undefined {
	let stat: string;
	try {
		stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	} catch {
		return undefined;
	}
	// The second field is the program's name in parentheses, which may hold blanks: count from behind it.
	const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return state === "Z" || state === "X" ? "ended" : rest[18];
}

function codeOf(cause: unknown): unknown {
	return cause instanceof Error && "code" in cause ? cause.code : undefined;
}
