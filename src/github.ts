// In a job of GitHub Actions, results are annotations too, and a summary of the job; elsewhere nothing happens.
import path from "node:path";
import { isFile } from "./data/files.js";
import type { DistembError } from "./errors.js";
import type { BuiltModel } from "./report/build.js";
import { appendText } from "./report/file.js";
import { annotationsOf, summaryMarkdown, workflowCommand } from "./report/github.js";
import { visible, visibleThroughout } from "./report/visible.js";

export interface GitHubJob {
	/** @param config the file to which the models' annotations belong */
	readonly models: (models: readonly BuiltModel[], config?: string) => Promise<void>;
	readonly error: (error: DistembError) => Promise<void>;
}

/**
 * Undefined elsewhere. `GITHUB_ACTIONS` decides, not `CI`: other services set that as well, and would show the commands as noise in the log.
 * (Forgejo, Gitea and `act`, which understand them, set it.)
 * @param stream the runner reads commands from stdout and stderr alike; stdout is for results
 */
export function githubJob(env: NodeJS.ProcessEnv, stream: Pick<NodeJS.WriteStream, "write">): GitHubJob | undefined {
	if (env.GITHUB_ACTIONS !== "true") return undefined;
	const inRepository = (file: string) => {
		const relative = path.relative(env.GITHUB_WORKSPACE ?? ".", path.resolve(file)).replaceAll(path.sep, "/");
		return relative.startsWith("..") || path.isAbsolute(relative) ? undefined : relative;
	};
	return {
		models: async (built, config) => {
			const models = visibleThroughout(built);
			const file = config && inRepository(config);
			for (const model of models) for (const annotation of annotationsOf(model, file)) stream.write(`${workflowCommand(annotation)}\n`);
			if (env.GITHUB_STEP_SUMMARY !== undefined) await appendText(env.GITHUB_STEP_SUMMARY, summaryMarkdown(models));
		},
		error: async (error) => {
			const [, name = "", line] = /^(.*?)(?::(\d+))?$/.exec(error.at ?? "") ?? [];
			const file = name !== "" && (await isFile(name)) ? inRepository(name) : undefined;
			const place = file === undefined ? {} : { file, line: line === undefined ? undefined : Number(line) };
			const annotation = { level: "error", title: `onnx-distemb: ${error.code}`, message: visible(error.toLine()), ...place } as const;
			stream.write(`${workflowCommand(annotation)}\n`);
		},
	};
}
