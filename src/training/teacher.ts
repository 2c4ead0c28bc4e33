// The original during training: its logits (or an encoder's states) on each batch, written into one tensor per shape.
import { openTextModel, type TextModel } from "../runtime/decode/model.js";
import type { EngineTensor } from "../runtime/session.js";
import type { TrainingBatch } from "./batches.js";

export interface TeacherOptions {
	readonly threads: number;
}

/**
 * Opens the original: a path of an .onnx file, or of the folder with a model's files. Close it when done.
 * @throws DistembError `engine` if it does not load, `refused` if it is no model that can be run on data
 */
export async function openTeacher(input: string, { threads }: TeacherOptions): Promise<Teacher> {
	return new Teacher(await openTextModel(input, { threads, spinning: "briefly", wholeSequences: true }));
}

export class Teacher {
	private readonly tensors = new Map<string, { readonly dims: readonly number[]; readonly data: Float32Array }>();

	constructor(private readonly model: TextModel) {}

	get kind(): TextModel["kind"] {
		return this.model.kind;
	}

	/** Rows of the vocabulary that is predicted, or the width of the states. */
	get width(): number {
		return this.model.width;
	}

	/**
	 * Logits or states for `batch`, float32 [batch, length, width], whatever the model's precision and the order of its axes.
	 * The next call with a batch of the same sizes writes into the same tensor.
	 * @throws DistembError `engine` if the engine does not run the model on it
	 */
	async teach({ tokens, source }: Pick<TrainingBatch, "tokens" | "source">): Promise<EngineTensor> {
		const { dims, data } = this.tensorFor(tokens.batch, tokens.length);
		const read = source === undefined ? undefined : await this.model.encode(source);
		await this.model.forwardInto(data, tokens, read);
		return { dtype: "float32", dims, data };
	}

	async close(): Promise<void> {
		await this.model.close();
	}

	private tensorFor(batch: number, length: number) {
		const key = `${batch} ${length}`;
		const dims = [batch, length, this.width];
		const tensor = this.tensors.get(key) ?? { dims, data: new Float32Array(batch * length * this.width) };
		this.tensors.set(key, tensor);
		return tensor;
	}
}
