// Test runner settings. The engine misbehaves in worker threads, so each test file runs in a process of its own.
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		pool: "forks",
		maxWorkers: 2,
		include: ["test/**/*.test.ts"],
		// These need a browser, or the packed package: npm run test:browser, npm run test:package.
		exclude: ["test/browser/**", "test/package/**"],
		testTimeout: 60_000,
		hookTimeout: 60_000,
	},
});
