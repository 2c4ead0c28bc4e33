// The kinds of cases, how often each comes, and how a seed becomes a case.
import type { FuzzCase } from "./case.js";
import { Corpus, type Seed } from "./corpus.js";
import type { Dice } from "./dice.js";
import { model } from "./graphs.js";
import { HOSTILE } from "./hostile.js";
import { damaged, truncated } from "./mutate-bytes.js";
import { restructured } from "./mutate-wire.js";
import { checkpointCase, pairsCase, tokensCase, usageCase } from "./side.js";

export interface Kind {
	/** Of a thousand cases, how many are of this kind. */
	readonly perMille: number;
	readonly make: (dice: Dice) => FuzzCase;
}

let held: Corpus | undefined;

function corpus(): Corpus {
	held ??= new Corpus();
	return held;
}

/** What the files of a case that is about one model are, and how they are looked at. */
const GLANCES = ["inspect", "inspect", "dry-run", "encode"] as const;

function seedModel(dice: Dice): Seed {
	return corpus().pick(dice);
}

/** Something is done to the model, or to a file beside it. */
function mutated(dice: Dice, change: (bytes: Uint8Array, dice: Dice) => Uint8Array): FuzzCase {
	const { files, model: name } = seedModel(dice);
	const beside = [...files.keys()].filter((file) => file !== name && !file.endsWith(".json"));
	const hurt = beside.length > 0 && dice.chance(0.15) ? dice.pick(beside) : name;
	const changed = new Map(files).set(hurt, change(files.get(hurt) ?? new Uint8Array(0), dice));
	const whole = files.size > 1 && dice.chance(0.3);
	// A folder with a link that leads out of it is refused at once.
	const links = whole && dice.chance(0.95) ? {} : { links: LINKS };
	return { action: dice.pick(GLANCES), files: changed, ...links, targets: [whole ? "." : name] };
}

/** Names that `mutate-wire.ts` gives as places of external data. */
const LINKS: ReadonlyMap<string, string> = new Map([
	["link.bin", "../secret.bin"],
	["loop.bin", "loop.bin"],
	["far.bin", "/etc/hostname"],
]);

function single(bytes: Uint8Array, dice: Dice): FuzzCase {
	const files = new Map([
		["model.onnx", bytes],
		["model.onnx_data", new Uint8Array(4096).fill(1)],
	]);
	return { action: dice.pick(GLANCES), files, links: LINKS, targets: ["model.onnx"] };
}

/** The same with everything that a conversion does, the engine included. */
function compiled(make: (dice: Dice) => FuzzCase, dice: Dice): FuzzCase {
	return { ...make(dice), action: dice.chance(0.85) ? "compile" : "plan" };
}

const COMMANDS: readonly (readonly string[])[] = [
	["inspect", "IN"],
	["inspect", "IN", "--json", "-"],
	["plan", "IN"],
	["IN", "OUT", "--rank", "2", "--method", "svd", "--allow-larger", "--quiet"],
	["IN", "OUT", "--rank", "2", "--no-distill", "--dtype", "int8", "--ops", "onnxruntime", "--allow-larger"],
	["IN", "OUT", "--ratio", "2", "--dtype", "mixed", "--no-distill", "--allow-larger"],
	["IN", "OUT", "--rank", "1", "--method", "paper", "--no-distill", "--allow-larger"],
	["compare", "IN", "IN"],
];

const random = {
	truncated: (dice: Dice) => mutated(dice, truncated),
	bytes: (dice: Dice) => mutated(dice, damaged),
	structure: (dice: Dice) => mutated(dice, restructured),
	graphs: (dice: Dice) => single(dice.sample(model), dice),
	hostile: (dice: Dice) => single(dice.pick(Object.values(HOSTILE))(dice), dice),
} as const;

/** Kinds by name. */
export function kindsWith(checkpoint: Uint8Array): Readonly<Record<string, Kind>> {
	return {
		truncated: { perMille: 160, make: random.truncated },
		bytes: { perMille: 260, make: random.bytes },
		structure: { perMille: 267, make: random.structure },
		graphs: { perMille: 130, make: random.graphs },
		hostile: { perMille: 3, make: random.hostile },
		usage: { perMille: 50, make: usageCase },
		tokens: { perMille: 40, make: tokensCase },
		pairs: { perMille: 35, make: pairsCase },
		checkpoint: { perMille: 30, make: (dice) => checkpointCase(checkpoint, dice) },
		resume: { perMille: 1, make: (dice) => ({ ...checkpointCase(checkpoint, dice), action: "resume" }) },
		engine: {
			perMille: 23,
			make: (dice) => compiled(dice.pick([random.structure, random.structure, random.graphs, random.bytes]), dice),
		},
		command: {
			perMille: 1,
			make: (dice) => {
				const make = dice.pick([random.structure, random.bytes, random.graphs, random.hostile, random.truncated]);
				return { ...make(dice), action: "command", args: dice.pick(COMMANDS) };
			},
		},
	};
}

/** The kind of the next case. */
export function kindOf(kinds: Readonly<Record<string, Kind>>, dice: Dice): string {
	const total = Object.values(kinds).reduce((sum, { perMille }) => sum + perMille, 0);
	let left = dice.below(total);
	for (const [name, { perMille }] of Object.entries(kinds)) {
		if (left < perMille) return name;
		left -= perMille;
	}
	throw new Error("the shares of the kinds do not add up");
}
