// AdamW on plain arrays, in place, and the norm that clipping needs.

export interface AdamWOptions {
	readonly beta1: number;
	readonly beta2: number;
	/** Added to the root of the second moment. */
	readonly epsilon: number;
	/** Decoupled weight decay: each step takes rate · decay of a parameter away (Loshchilov and Hutter 2019). */
	readonly decay: number;
	/** Gradients whose norm over all parameters is larger are scaled down to it; Infinity: never. */
	readonly clip: number;
}

export const ADAMW_DEFAULTS = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0, clip: 1 } as const satisfies AdamWOptions;

/** One trained array and what Adam knows of it; all of one length. */
export interface AdamWState {
	readonly values: Float32Array;
	readonly gradient: Float32Array;
	/** First moment. */
	readonly mean: Float32Array;
	/** Second moment. */
	readonly square: Float32Array;
	readonly decays: boolean;
}

/** √Σ g² over all elements of all gradients. */
export function normOf(gradients: readonly Float32Array[]): number {
	let total = 0;
	for (const gradient of gradients) {
		// Four sums: additions of doubles do not wait for each other.
		let [a, b, c, d] = [0, 0, 0, 0];
		const { length } = gradient;
		const whole = length - (length % 4);
		for (let i = 0; i < whole; i += 4) {
			a += (gradient[i] as number) * (gradient[i] as number);
			b += (gradient[i + 1] as number) * (gradient[i + 1] as number);
			c += (gradient[i + 2] as number) * (gradient[i + 2] as number);
			d += (gradient[i + 3] as number) * (gradient[i + 3] as number);
		}
		for (let i = whole; i < length; i++) a += (gradient[i] as number) * (gradient[i] as number);
		total += a + b + c + d;
	}
	return Math.sqrt(total);
}

/**
 * Updates every array as step number `step`, counted from 1; `norm` is that of all gradients together.
 * m = β₁m + (1 − β₁)g, v = β₂v + (1 − β₂)g², p −= rate · (m̂ / (√v̂ + ε) + decay · p), with the moments' bias corrected.
 */
export function adamW(states: readonly AdamWState[], step: number, rate: number, norm: number, options: AdamWOptions): void {
	const { beta1, beta2, epsilon, decay, clip } = options;
	const scale = norm > clip ? clip / norm : 1;
	const size = rate / (1 - beta1 ** step);
	const correction = 1 / (1 - beta2 ** step);
	for (const { values, gradient, mean, square, decays } of states) {
		const keep = decays ? 1 - rate * decay : 1;
		for (let i = 0; i < values.length; i++) {
			const g = scale * (gradient[i] as number);
			const m = beta1 * (mean[i] as number) + (1 - beta1) * g;
			const v = beta2 * (square[i] as number) + (1 - beta2) * g * g;
			mean[i] = m;
			square[i] = v;
			values[i] = keep * (values[i] as number) - (size * m) / (Math.sqrt(v * correction) + epsilon);
		}
	}
}
