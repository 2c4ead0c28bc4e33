// Runs the built command line in this process and prints its peak memory, in bytes, as the last line on stderr.
process.on("exit", () => process.stderr.write(`${process.resourceUsage().maxRSS * 1024}\n`));
await import("../../dist/src/cli.js");
