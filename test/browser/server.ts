// Serves folders to a browser on this machine: loopback only, on a free port, headers that let pages use threads and measure memory.
import { createReadStream, statSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";

const TYPES: Readonly<Record<string, string>> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript",
	".json": "application/json",
	".mjs": "text/javascript",
	".wasm": "application/wasm",
};

/** SharedArrayBuffer and exact clocks need a page that is isolated from other origins. */
const HEADERS = {
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-embedder-policy": "require-corp",
	"cache-control": "no-store",
};

export interface LoopbackServer {
	/** `http://127.0.0.1:PORT`, without a slash at the end. */
	readonly origin: string;
	/** Paths that were asked for and are not there. */
	readonly missing: readonly string[];
	/** From now on `/name/…` is answered with the files below `folder`. */
	mount(name: string, folder: string): void;
	close(): Promise<void>;
}

/** @param folders by the first part of their paths: `{ ort: "…/dist" }` serves `/ort/…` */
export async function serve(folders: Readonly<Record<string, string>>): Promise<LoopbackServer> {
	const mounts = new Map(Object.entries(folders));
	const missing: string[] = [];
	const server = createServer((request, response) => {
		const { pathname } = new URL(request.url ?? "/", "http://localhost");
		const [, name = "", ...rest] = decodeURIComponent(pathname).split("/");
		const folder = mounts.get(name);
		const file = folder === undefined || rest.includes("..") ? undefined : path.join(folder, ...rest);
		if (file === undefined || !answer(response, file, request.method === "HEAD")) {
			missing.push(pathname);
			response.writeHead(404, HEADERS).end();
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		missing,
		mount: (name, folder) => void mounts.set(name, folder),
		close: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
}

/** False if there is no such file. */
function answer(response: ServerResponse, file: string, headOnly: boolean): boolean {
	const stat = statSync(file, { throwIfNoEntry: false });
	if (stat?.isFile() !== true) return false;
	const type = TYPES[path.extname(file)] ?? "application/octet-stream";
	response.writeHead(200, { ...HEADERS, "content-type": type, "content-length": stat.size });
	if (headOnly) response.end();
	else createReadStream(file).pipe(response);
	return true;
}
