// The command line of `build`.
import type { Argv } from "yargs";

const WHICH = { group: "Which:" } as const;
const FLAG = { type: "boolean" } as const;

/** Options of `build` beyond those of every command. */
export const BUILD_ARGUMENTS = {
	config: {
		type: "string",
		requiresArg: true,
		...WHICH,
		describe: "the configuration (default: distemb.config.ts, .js or .json here)",
	},
	force: { ...FLAG, ...WHICH, describe: "build what is up to date, too" },
	overwrite: { ...FLAG, ...WHICH, describe: "replace outputs that no build made" },
	// Takes a folder in `compile`; here each model has its own.
	resume: { ...FLAG, ...WHICH, describe: "go on with interrupted trainings" },
} as const;

export function buildArguments<T>(command: Argv<T>) {
	return command
		.positional("names", {
			type: "string",
			array: true,
			describe: "models to build (default: all)",
		})
		.options(BUILD_ARGUMENTS)
		.example("$0 build", "")
		.example("$0 build small --force", "")
		.example("$0 build --config models/distemb.config.json --json built.json", "");
}
