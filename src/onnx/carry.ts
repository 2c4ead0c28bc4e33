// Baggage of the file format on IR objects: the original message without the parts that the IR owns.
import type { Carried } from "../ir/tensor.js";

class CarriedMessage implements Carried {
	readonly format = "onnx";
	readonly message: object;

	constructor(message: object) {
		this.message = message;
	}
}

/** Keeps `message` on an IR object; `owned` names the fields that the IR holds from now on. */
export function carry<T extends object>(message: T, owned: readonly (keyof T)[]): Carried {
	for (const field of owned) {
		const value = message[field];
		if (Array.isArray(value)) Object.assign(message, { [field]: [] });
		else delete message[field];
	}
	return new CarriedMessage(message);
}

/** A shallow copy of what was carried (unknown fields included) with `fields` put in, ready to be encoded. */
export function restore<T extends object>(baggage: Carried | undefined, fields: Partial<T>): T {
	const message = baggage instanceof CarriedMessage ? baggage.message : {};
	const copy = { ...message, ...fields };
	const unknowns = Object.getOwnPropertyDescriptor(message, "$unknowns");
	if (unknowns !== undefined) Object.defineProperty(copy, "$unknowns", unknowns);
	return copy as T; // protobufjs fills what is absent with its defaults
}
