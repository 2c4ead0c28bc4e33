// Text of the fixture language model, as training wants it.
import path from "node:path";
import type { Data, Piece } from "../../src/data/data.js";
import { openTokens } from "../../src/data/tokens.js";
import type { Corpus } from "../../src/training/corpus.js";
import { FIXTURES } from "./models.js";

/** The first `tokens` ids of a file. */
async function beginning(name: string, tokens: number): Promise<Data<Piece>> {
	const whole = await openTokens([path.join(FIXTURES, "sotu-lm", name)]);
	return {
		async *read() {
			for await (const { ids, starts } of whole.read()) {
				yield { ids: ids.subarray(0, tokens), starts };
				return;
			}
		},
	};
}

/** Some tokens of the fixture model's text to train on, and some that are held out. */
export async function fixtureCorpus(): Promise<Corpus> {
	const special = { pad: 0, start: 0, mask: undefined, context: 128 };
	const [train, held] = [await beginning("train.npy", 4096), await beginning("valid.npy", 256)];
	return { kind: "tokens", special, generated: false, from: "train.npy", train, validation: held, test: held };
}
