// Amounts as people write them: `20MB`, `1%`.
import { DistembError } from "./errors.js";

/**
 * `20MB`, `1.5 GiB`, `300000` → bytes.
 * @param name of the option, for the message
 * @throws DistembError `usage`, all in its message: yargs keeps nothing else of an error that is thrown while it reads values
 */
export function parseSize(text: string, name: string): number {
	const match = /^(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?$/i.exec(text.trim());
	if (match === null) throw new DistembError("usage", `${name} "${text}" is no size; write it like 20MB, 1.5GiB or 300000`);
	const power = ["", "k", "m", "g", "t"].indexOf((match[2] ?? "").toLowerCase());
	return Math.floor(Number(match[1]) * (match[3] === "" ? 1000 : 1024) ** power);
}

/** `1%` or `0.01` → 0.01; as {@link parseSize}. */
export function parseShare(text: string, name: string): number {
	const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim());
	if (match === null) throw new DistembError("usage", `${name} "${text}" is no share; write it like 1% or 0.01`);
	return match[2] === "%" ? Number(match[1]) / 100 : Number(match[1]);
}
