// Before the browser tests: without a browser they fail, they are not skipped.
import { chromiumPath } from "./chromium.js";

export default function setup(): void {
	chromiumPath();
}
