// The Adam optimizer on plain arrays.

export interface AdamOptions {
	readonly beta1: number;
	readonly beta2: number;
}

export const ADAM_DEFAULTS = { beta1: 0.9, beta2: 0.99 } as const satisfies AdamOptions;

/** Adam's running means for one parameter array. The caller counts the steps. */
export class Adam {
	private readonly mean: Float32Array;
	private readonly square: Float32Array;

	/**
	 * @param size Number of parameters.
	 * @param floor ε, in the unit of the gradient: parts with gradients well below it move in proportion to them instead of at full rate.
	 */
	constructor(
		size: number,
		private readonly floor: number,
		private readonly options: AdamOptions = ADAM_DEFAULTS,
	) {
		this.mean = new Float32Array(size);
		this.square = new Float32Array(size);
	}

	/** Updates parameters[offset, offset + gradient.length) as step number `step` (from 1) of that part. Source: Kingma and Ba 2015. */
	update(parameters: Float32Array, offset: number, gradient: Float32Array | Float64Array, step: number, rate: number): void {
		const { beta1, beta2 } = this.options;
		const size = rate / (1 - beta1 ** step);
		const correction = 1 / (1 - beta2 ** step);
		const part = parameters.subarray(offset, offset + gradient.length);
		const mean = this.mean.subarray(offset, offset + gradient.length);
		const square = this.square.subarray(offset, offset + gradient.length);
		for (let i = 0; i < gradient.length; i++) {
			const g = gradient[i] as number;
			const m = beta1 * (mean[i] as number) + (1 - beta1) * g;
			const s = beta2 * (square[i] as number) + (1 - beta2) * g * g;
			mean[i] = m;
			square[i] = s;
			part[i] = (part[i] as number) - (size * m) / (Math.sqrt(s * correction) + this.floor);
		}
	}
}
