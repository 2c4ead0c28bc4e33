// Pictures of a report for the README: node dist/test/browser/screenshot.js report.html OUT.png [width] [light|dark]
import path from "node:path";
import { pathToFileURL } from "node:url";
import { launchChromium } from "./chromium.js";

const [report = "", out = "", width = "900", scheme = "light"] = process.argv.slice(2);
const browser = await launchChromium();
try {
	const page = await browser.newPage({
		viewport: { width: Number(width), height: 1240 },
		colorScheme: scheme === "dark" ? "dark" : "light",
	});
	await page.goto(pathToFileURL(path.resolve(report)).href);
	await page.screenshot({ path: out });
} finally {
	await browser.close();
}
