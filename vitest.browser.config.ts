// Tests in headless Chromium (npm run test:browser). Pages load big files and compile WebAssembly; one test file at a time.
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		pool: "forks",
		fileParallelism: false,
		globalSetup: ["test/browser/setup.ts"],
		include: ["test/browser/**/*.test.ts"],
		testTimeout: 300_000,
		hookTimeout: 300_000,
	},
});
