// The original during distillation: its logits on each batch, written into one tensor.
import { DistembError } from "../../errors.js";
import { type Rows, stepFeeds } from "../decode/feeds.js";
import type { GraphRoles } from "../decode/roles.js";
import { type EngineTensor, openSession, type Session } from "../session.js";

export interface TeacherOptions {
	readonly threads: number;
	/** Rows and tokens of every batch. */
	readonly batch: number;
	readonly length: number;
	/** Size of the logits' last axis. */
	readonly vocabulary: number;
}

/**
 * Opens the original, a path or bytes, to teach batches of one shape. Close it when done.
 * @throws DistembError `engine` if it does not load
 */
export async function openTeacher(model: string | Uint8Array, roles: GraphRoles, options: TeacherOptions): Promise<Teacher> {
	return new Teacher(await openSession(model, { threads: options.threads }), roles, options);
}

export class Teacher {
	private readonly output: EngineTensor;

	constructor(
		private readonly session: Session,
		private readonly roles: GraphRoles,
		{ batch, length, vocabulary }: TeacherOptions,
	) {
		const dims = [batch, length, vocabulary];
		this.output = { dtype: "float32", dims, data: new Float32Array(batch * length * vocabulary) };
	}

	/**
	 * Logits [batch, length, vocabulary] for `rows`; the next call writes into the same tensor.
	 * @throws DistembError `internal` for rows of another shape; `engine` for logits that are not float32
	 */
	async logits(rows: Rows): Promise<EngineTensor> {
		const [batch, length] = this.output.dims;
		if (rows.batch !== batch || rows.length !== length) {
			throw new DistembError("internal", `a batch of [${rows.batch}, ${rows.length}] where [${batch}, ${length}] is due`);
		}
		await this.session.run(stepFeeds(this.roles, { tokens: rows, position: 0 }), { [this.roles.output]: this.output });
		return this.output;
	}

	async close(): Promise<void> {
		await this.session.close();
	}
}
