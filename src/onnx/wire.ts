// The two pieces of protobuf's wire format that are written by hand.

/** Wire type of messages, strings and packed lists: a length, then so many bytes. */
export const LEN = 2;

/** A whole number that is not negative, seven bits a byte, the lowest first. */
export function varint(value: number): Uint8Array {
	const bytes: number[] = [];
	let rest = value;
	while (rest >= 128) {
		bytes.push((rest % 128) | 128);
		rest = Math.floor(rest / 128);
	}
	bytes.push(rest);
	return Uint8Array.from(bytes);
}

/** What stands before a field. */
export function tag(field: number, wire: number): Uint8Array {
	return varint(field * 8 + wire);
}
