// Runs a Node.js program without a network, and tells what it tried to reach all the same.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

/** Makes every lookup of a name and every connection fail, and notes its target in the file that DISTEMB_ATTEMPTS names. */
const GUARD = `
import { appendFileSync } from "node:fs";
import dns from "node:dns";
import net from "node:net";
import dgram from "node:dgram";
import { syncBuiltinESMExports } from "node:module";
const refuse = (what, target) => {
	appendFileSync(process.env.DISTEMB_ATTEMPTS, what + " " + target + "\\n");
	throw new Error("no network here: " + what + " " + target);
};
net.Socket.prototype.connect = function (...args) { refuse("connect", JSON.stringify(args.flat()[0])); };
net.Server.prototype.listen = function (...args) { refuse("listen", JSON.stringify(args[0])); };
dgram.createSocket = () => refuse("datagram", "");
for (const module of [dns, dns.promises]) {
	for (const name of Object.keys(module)) if (/^(lookup|resolve)/.test(name)) module[name] = (target) => refuse(name, target);
}
syncBuiltinESMExports();
`;

/** Whether the system lets this user start a program in a network namespace of its own, in which nothing can be reached. */
const hasNamespaces = spawnSync("unshare", ["--net", "true"]).status === 0;

/** How {@link runOffline} keeps a program off the network, for the names of tests. */
export const ISOLATION = hasNamespaces ? "in_a_network_namespace_of_its_own" : "with_node's_network_functions_refusing";

export interface OfflineRun {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
	/** One line for each name that was looked up and each connection that was tried, in child processes too. */
	readonly attempts: readonly string[];
}

/** Runs `node ...args` in `folder`: with the guard always, and in a namespace without network where that is permitted. */
export function runOffline(folder: string, args: readonly string[]): OfflineRun {
	const guard = path.join(folder, "guard.mjs");
	const attempts = path.join(folder, "attempts.txt");
	writeFileSync(guard, GUARD);
	writeFileSync(attempts, "");
	const env = { ...process.env, NODE_OPTIONS: `--import=${pathToFileURL(guard).href}`, DISTEMB_ATTEMPTS: attempts };
	const [command, ...rest] = hasNamespaces ? ["unshare", "--net", process.execPath, ...args] : [process.execPath, ...args];
	const { status, stdout, stderr } = spawnSync(command as string, rest, { cwd: folder, env, encoding: "utf8" });
	const tried = existsSync(attempts) ? readFileSync(attempts, "utf8").split("\n") : [];
	return { status, stdout, stderr, attempts: tried.filter((line) => line !== "") };
}
