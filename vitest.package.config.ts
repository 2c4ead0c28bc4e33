// Tests of the packed package (npm run test:package): it is packed, installed into an empty folder and used from there.
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		pool: "forks",
		include: ["test/package/**/*.test.ts"],
		testTimeout: 600_000,
		hookTimeout: 600_000,
	},
});
