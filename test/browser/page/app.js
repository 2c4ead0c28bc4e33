// An application of transformers.js: it knows a folder with models and the name of one, nothing of how that was made.

/**
 * @param transformers the library's module
 * @param request `models`: path or address of the folder; `model`: name in it; `task`, `dtype`, `text`, `options` as the library takes them
 */
export async function answer({ env, pipeline }, { models, model, task, dtype, text, options }) {
	env.allowRemoteModels = false;
	env.allowLocalModels = true;
	env.localModelPath = models;
	const pipe = await pipeline(task, model, { dtype });
	try {
		return await pipe(text, options);
	} finally {
		await pipe.dispose();
	}
}
