// Headless Chromium as Debian packages it, driven by playwright-core. Nothing is downloaded here.
import { existsSync } from "node:fs";
import path from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

/** Where Debian and others put it. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"] as const;

export const HOW_TO_INSTALL = "install it (Debian: apt-get install chromium), or name its executable in CHROMIUM";

/**
 * The browser's executable: that of the environment variable CHROMIUM, or the one the system has.
 * @throws Error that says how to install it
 */
export function chromiumPath(): string {
	const named = process.env.CHROMIUM;
	const found = [named, ...PLACES].find((place) => place !== undefined && place !== "" && existsSync(place));
	if (found === undefined) throw new Error(`Chromium is not installed; ${HOW_TO_INSTALL}`);
	return found;
}

/** Starts the browser. Containers often run as root and have a small /dev/shm; neither is what is tested here. */
export async function launchChromium(): Promise<Browser> {
	const args = ["--no-sandbox", "--disable-dev-shm-usage"];
	return await chromium.launch({ executablePath: chromiumPath(), headless: true, args });
}

export interface Visit {
	readonly page: Page;
	/** What the page reported as an error so far: exceptions, console errors, requests that failed or left this machine. */
	readonly problems: readonly string[];
}

/** A new page, in a context of its own (no cache, no storage), at `url`. Requests to other machines are refused and noted. */
export async function visit(browser: Browser, url: string): Promise<Visit> {
	const context = await browser.newContext();
	const page = await context.newPage();
	const problems: string[] = [];
	page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
	page.on("console", (message) => {
		if (message.type() === "error") problems.push(`console: ${message.text()}`);
	});
	await context.route(
		({ protocol, hostname }) => protocol.startsWith("http") && hostname !== "127.0.0.1",
		async (route) => {
			problems.push(`left this machine: ${route.request().url()}`);
			await route.abort();
		},
	);
	await page.goto(url);
	return { page, problems };
}

/** The repository's folder, also for the compiled form of this file. */
const ROOT = above(import.meta.dirname);

function above(folder: string): string {
	return existsSync(path.join(folder, "package.json")) ? folder : above(path.dirname(folder));
}

/** The pages of these tests. */
export const PAGES = path.join(ROOT, "test/browser/page");

/** Folder of an installed package. */
export function packageFolder(name: string): string {
	return path.join(ROOT, "node_modules", name);
}
