// JSON of the wrong shape: values of other types, missing keys, keys of the language itself, texts that are none.

import type { Dice } from "./dice.js";
import { damaged, truncated } from "./mutate-bytes.js";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const VALUES: readonly Json[] = [
	...[null, true, false, 0, 1, -1, 1.5, 1e308, 2 ** 53, 4294967296, "", "a", "</s>", "\ud800", "(((", "[", "__proto__", [], [[]], {}],
	...[[null], [1, "a"], { type: null }, { type: "Sequence" }, { content: 1 }, { content: "a" }, "(a+)+$"],
];

const KEYS = ["__proto__", "constructor", "toString", "length", "", "0", "type", "model", "vocab", "merges", "added_tokens", "then"];

interface Spot {
	readonly holder: Json[] | { [key: string]: Json };
	readonly key: string;
}

/** `text` with one to four values, keys or bytes changed; by bytes if it is no JSON. */
export function reworded(bytes: Uint8Array, dice: Dice): Uint8Array {
	if (dice.chance(0.15)) return truncated(bytes, dice);
	if (dice.chance(0.25)) return damaged(bytes, dice);
	const root = { value: JSON.parse(new TextDecoder().decode(bytes)) as Json };
	for (let count = dice.size(1, 4); count > 0; count--) change(spotOf(root, dice), dice);
	return new TextEncoder().encode(JSON.stringify(root.value));
}

/** A place somewhere below `root`, each level as likely as the next: most values are words of the vocabulary. */
function spotOf(root: { value: Json }, dice: Dice): Spot {
	let spot: Spot = { holder: root, key: "value" };
	for (;;) {
		const value = valueAt(spot);
		if (typeof value !== "object" || value === null || dice.chance(0.15)) return spot;
		const keys = Array.isArray(value) ? value.length : Object.keys(value).length;
		if (keys === 0) return spot;
		const key = Array.isArray(value) ? String(dice.below(keys)) : dice.pick(Object.keys(value));
		spot = { holder: value, key };
	}
}

function valueAt({ holder, key }: Spot): Json {
	return Reflect.get(holder, key) as Json; // spotOf took the key from there
}

function change(spot: Spot, dice: Dice): void {
	const { holder, key } = spot;
	const value = valueAt(spot);
	const choice = dice.below(6);
	if (choice === 0 && Array.isArray(holder)) holder.splice(Number(key), 1);
	else if (choice === 0) Reflect.deleteProperty(holder, key);
	else if (choice === 1) set(holder, dice.pick(KEYS), structuredClone(value));
	else if (choice === 2 && typeof value === "number") set(holder, key, dice.pick([-value, value + 1, value * 1e9, value + 0.5]));
	else if (choice === 3) set(holder, key, deep(value, dice.size(1, 2000)));
	else if (choice === 4 && typeof value === "string") set(holder, key, value + dice.pick(["\0", "\ud83d", "(", value, "\n"]));
	else set(holder, key, structuredClone(dice.pick(VALUES)));
}

function set(holder: Spot["holder"], key: string, value: Json): void {
	if (Array.isArray(holder)) {
		holder[Number(key) || 0] = value;
		return;
	}
	// As JSON.parse does it: "__proto__" is a key like any other.
	Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function deep(value: Json, depth: number): Json {
	let result = value;
	for (let level = 0; level < depth; level++) result = level % 2 === 0 ? [result] : { a: result };
	return result;
}
